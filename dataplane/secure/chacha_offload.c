/* SPDX-License-Identifier: GPL-2.0-or-later */
#define NO_COMPAT_IMB_API_053
#include <intel-ipsec-mb.h>

#include "dataplane/secure/chacha_offload.h"

#include "dataplane/secure/tag.h"

#include <string.h>

static bool run(IMB_MGR *manager, const struct chacha_record *record, IMB_CIPHER_DIRECTION direction,
                uint8_t *tag)
{
    IMB_JOB *job = IMB_GET_NEXT_JOB(manager);
    job->cipher_direction = direction;
    job->chain_order = direction == IMB_DIR_ENCRYPT ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
    job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
    job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
    job->enc_keys = record->key;
    job->dec_keys = record->key;
    job->key_len_in_bytes = CHACHA_KEY_BYTES;
    job->iv = record->nonce;
    job->iv_len_in_bytes = CHACHA_NONCE_BYTES;
    job->u.CHACHA20_POLY1305.aad = record->aad;
    job->u.CHACHA20_POLY1305.aad_len_in_bytes = record->aad_bytes;
    job->src = record->in;
    job->dst = record->out;
    job->cipher_start_src_offset_in_bytes = 0;
    job->hash_start_src_offset_in_bytes = 0;
    job->msg_len_to_cipher_in_bytes = record->bytes;
    job->msg_len_to_hash_in_bytes = record->bytes;
    job->auth_tag_output = tag;
    job->auth_tag_output_len_in_bytes = CHACHA_TAG_BYTES;
    const IMB_JOB *done = IMB_SUBMIT_JOB_NOCHECK(manager);
    return done == job && done->status == IMB_STATUS_COMPLETED;
}

bool chacha_offload_seal(IMB_MGR *manager, const struct chacha_record *record, uint8_t tag[CHACHA_TAG_BYTES])
{
    return run(manager, record, IMB_DIR_ENCRYPT, tag);
}

bool chacha_offload_open(IMB_MGR *manager, const struct chacha_record *record,
                         const uint8_t tag[CHACHA_TAG_BYTES])
{
    uint8_t made[CHACHA_TAG_BYTES];
    if (run(manager, record, IMB_DIR_DECRYPT, made) && !tag_differs(made, tag, CHACHA_TAG_BYTES))
        return true;
    explicit_bzero(record->out, record->bytes); /* nobody may act on what is not authentic */
    return false;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/secure/peer_share.h"

#include <pthread.h>
#include <stdlib.h>

#define HELD 4u

struct peer_share {
    pthread_mutex_t lock;
    struct tls_peer *held[HELD]; /* references; NULL: none yet */
    uint32_t next;               /* place of the oldest */
};

struct peer_share *peer_share_create(void)
{
    struct peer_share *share = calloc(1, sizeof(*share));
    if (share != NULL && pthread_mutex_init(&share->lock, NULL) != 0) {
        free(share);
        return NULL;
    }
    return share;
}

void peer_share_destroy(struct peer_share *share)
{
    if (share == NULL)
        return;
    for (uint32_t i = 0; i < HELD; i++)
        tls_peer_unref(share->held[i]);
    pthread_mutex_destroy(&share->lock);
    free(share);
}

struct tls_peer *peer_share_take(struct peer_share *share, struct tls_peer *peer)
{
    struct tls_peer *known = NULL;
    struct tls_peer *gone = peer;
    if (share == NULL)
        return peer;
    pthread_mutex_lock(&share->lock);
    for (uint32_t i = 0; i < HELD && known == NULL; i++)
        if (share->held[i] != NULL && tls_peer_same(share->held[i], peer))
            known = tls_peer_ref(share->held[i]);
    if (known == NULL) {
        gone = share->held[share->next];
        share->held[share->next] = tls_peer_ref(peer);
        share->next = (share->next + 1) % HELD;
        known = peer;
    }
    pthread_mutex_unlock(&share->lock);
    tls_peer_unref(gone);
    return known;
}

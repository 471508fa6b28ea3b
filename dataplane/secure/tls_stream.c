/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfio.h>

#include "dataplane/secure/tls_session.h"

#include <string.h>

/* Header, explicit nonce (1.2) or inner type (1.3), tag; and some. */
#define RECORD_OVERHEAD 64u
/* With less room than this a record is sealed all the same, and what the lower side does not take waits in
 * `spill`: that way it owes us `writable`, and small rooms do not make tiny records. */
#define RECORD_LEAST 512u

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void use_keys(const struct tls_session *session)
{
    crypto_offload_use(session->worker->keys, session->number);
}

/* ---- wolfSSL's view of the lower stream ---------------------------------------------------------------- */

static int on_receive(WOLFSSL *ssl, char *out, int n, void *context)
{
    struct tls_session *session = context;
    (void)ssl;
    bool waits = session->spill.bytes > 0 || record_meter_flooded(&session->meter);
    size_t take = waits ? 0 : smaller((size_t)n, session->wire_bytes);
    if (take == 0)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    memcpy(out, session->wire, take);
    record_meter_take(&session->meter, session->wire, take, session->worker->now_us);
    session->wire += take;
    session->wire_bytes -= take;
    return (int)take;
}

/* Bytes for the lower side, in order behind what waits already. False when there is nowhere to put them. */
static bool send_or_keep(struct tls_session *session, const uint8_t *p, size_t n)
{
    size_t taken = 0;
    if (session->lower == NULL)
        return false;
    session->lower_dirty = true;
    if (session->spill.bytes == 0)
        taken = stream_write(session->lower, p, n);
    return byte_queue_append(&session->spill, session->worker->config.chunks, p + taken, n - taken) ==
           n - taken;
}

static int on_send(WOLFSSL *ssl, char *p, int n, void *context)
{
    struct tls_session *session = context;
    (void)ssl;
    /* Nothing follows close_notify (RFC 8446 section 6.1), not even the answer to a KeyUpdate. */
    if (session->notify_sent)
        return n;
    return send_or_keep(session, (const uint8_t *)p, (size_t)n) ? n : WOLFSSL_CBIO_ERR_CONN_RST;
}

static void flush_lower(struct tls_session *session)
{
    if (session->lower == NULL || !session->lower_dirty)
        return;
    session->lower_dirty = false;
    stream_flush(session->lower);
}

void tls_stream_send(struct tls_session *session, const uint8_t *p, size_t n)
{
    if (n == 0)
        return;
    if (!send_or_keep(session, p, n))
        tls_session_close(session, STREAM_END_ABORTED, "out of buffers", false);
    else
        flush_lower(session);
}

bool tls_stream_drain(struct tls_session *session)
{
    while (session->spill.bytes > 0 && session->lower != NULL) {
        size_t n;
        const uint8_t *p = byte_queue_front(&session->spill, &n);
        size_t taken = stream_write(session->lower, p, n);
        session->lower_dirty = true;
        byte_queue_drop(&session->spill, session->worker->config.chunks, taken);
        if (taken < n)
            return false;
    }
    return session->spill.bytes == 0;
}

/* ---- output -------------------------------------------------------------------------------------------- */

/* How much to seal next, 0 when it has to wait. */
static size_t record_size(struct tls_session *session)
{
    size_t room = stream_room(session->lower);
    size_t n = smaller(session->stage.bytes, TLS_RECORD_BYTES);
    if (n + RECORD_OVERHEAD <= room)
        return n;
    if (room >= RECORD_LEAST + RECORD_OVERHEAD)
        return room - RECORD_OVERHEAD;
    if (chunk_pool_free(session->worker->config.chunks) > 0)
        return smaller(n, RECORD_LEAST);
    tls_session_stall(session);
    return 0;
}

static bool seal_record(struct tls_session *session, size_t n)
{
    size_t together;
    const uint8_t *p = byte_queue_front(&session->stage, &together);
    if (together < n) {
        byte_queue_peek(&session->stage, session->worker->gather, n);
        p = session->worker->gather;
    }
    use_keys(session);
    if (wolfSSL_write(session->ssl, p, (int)n) != (int)n) {
        session->broken = true;
        tls_session_stall(session);
        return false;
    }
    byte_queue_drop(&session->stage, session->worker->config.chunks, n);
    session->worker->counters[TLS_RECORDS_OUT]++;
    return true;
}

/* Seals what is staged, or with `full_only` what makes full records, as far as there is room below. */
static void seal(struct tls_session *session, bool full_only)
{
    while (session->stage.bytes > 0 && session->spill.bytes == 0 && !session->broken) {
        if (full_only && session->stage.bytes < TLS_STAGE_LIMIT)
            return;
        size_t n = record_size(session);
        if (n == 0 || !seal_record(session, n))
            return;
    }
    if (session->stage.bytes == 0)
        session->flush_wanted = false;
}

/* RFC 8446 section 6.1: close_notify goes out behind the data, and the FIN behind it. */
static void say_goodbye(struct tls_session *session)
{
    if (!session->notify_sent) {
        use_keys(session);
        bool failed = wolfSSL_shutdown(session->ssl) == WOLFSSL_FATAL_ERROR;
        session->notify_sent = true;
        if (failed) {
            session->broken = true;
            tls_session_stall(session);
            return;
        }
    }
    if (session->spill.bytes == 0 && !session->fin_sent) {
        session->fin_sent = true;
        session->lower_dirty = true;
        stream_finish(session->lower);
    }
}

static void push_output(struct tls_session *session)
{
    if (session->lower == NULL || !tls_stream_drain(session) || session->broken)
        return;
    seal(session, !session->flush_wanted && !session->finish_wanted);
    if (session->finish_wanted && session->stage.bytes == 0 && session->spill.bytes == 0)
        say_goodbye(session);
}

/* ---- input --------------------------------------------------------------------------------------------- */

static void tell_ended(struct tls_session *session)
{
    if (!session->peer_finished || session->ended_told || session->plain.bytes > 0)
        return;
    session->ended_told = true;
    session->upper.handler->ended(session->upper.owner);
}

/* Offers the first n bytes of the scratch, of which `old` are in `plain` already; keeps what is not taken. */
static void offer(struct tls_session *session, size_t old, size_t n)
{
    struct tls_worker *worker = session->worker;
    struct chunk_pool *chunks = worker->config.chunks;
    size_t taken = session->upper.handler->data(session->upper.owner, worker->scratch, n);
    if (session->state != TLS_STATE_OPEN)
        return;
    byte_queue_drop(&session->plain, chunks, smaller(taken, old));
    size_t from = taken > old ? taken : old;
    if (byte_queue_append(&session->plain, chunks, worker->scratch + from, n - from) != n - from)
        tls_session_close(session, STREAM_END_ABORTED, "out of buffers", false);
}

static void read_failed(struct tls_session *session, int result)
{
    int error = wolfSSL_get_error(session->ssl, result);
    if (error == WOLFSSL_ERROR_WANT_READ || error == WOLFSSL_ERROR_WANT_WRITE)
        return;
    if (error == WOLFSSL_ERROR_ZERO_RETURN) {
        session->peer_finished = true;
        tell_ended(session);
        return;
    }
    struct tls_failure failure;
    tls_failure_from(&failure, session->ssl, error, NULL, tls_context_server_name(session->context));
    tls_session_fail(session, &failure);
}

/* One record. False when no more can be read now. */
static bool read_record(struct tls_session *session)
{
    struct tls_worker *worker = session->worker;
    size_t old = session->plain.bytes;
    if (session->wire_bytes == 0 && wolfSSL_pending(session->ssl) == 0)
        return false;
    if (old >= TLS_PLAIN_LIMIT)
        return false; /* until the upper side takes some */
    size_t room = byte_queue_room(&session->plain, worker->config.chunks, TLS_PLAIN_LIMIT);
    if (room == 0) {
        tls_session_stall(session);
        return false;
    }
    byte_queue_peek(&session->plain, worker->scratch, old);
    use_keys(session);
    int n = wolfSSL_read(session->ssl, worker->scratch + old, (int)room);
    if (n <= 0) {
        if (record_meter_flooded(&session->meter))
            tls_session_flooded(session, "sends records without data", TLS_ALERT_UNEXPECTED);
        else
            read_failed(session, n);
        return false;
    }
    record_meter_useful(&session->meter);
    worker->counters[TLS_RECORDS_IN]++;
    offer(session, old, old + (size_t)n);
    return true;
}

/* Feeds wolfSSL from p as far as things go; answers how much it took. */
static size_t pump(struct tls_session *session, const uint8_t *p, size_t n)
{
    struct tls_worker *worker = session->worker;
    if (worker->scratch_busy) {
        tls_session_stall(session);
        return 0;
    }
    worker->scratch_busy = true;
    session->reading = true;
    session->wire = p;
    session->wire_bytes = n;
    while (session->state == TLS_STATE_OPEN && !session->peer_finished && read_record(session))
        continue;
    /* Nothing after close_notify counts (RFC 8446 section 6.1). */
    size_t used = session->state != TLS_STATE_OPEN || session->peer_finished ? n : n - session->wire_bytes;
    session->wire = NULL;
    session->wire_bytes = 0;
    session->reading = false;
    worker->scratch_busy = false;
    return used;
}

static void read_waiting(struct tls_session *session)
{
    while (session->state == TLS_STATE_OPEN && session->cipher.bytes > 0) {
        size_t n;
        const uint8_t *p = byte_queue_front(&session->cipher, &n);
        size_t used = pump(session, p, n);
        if (session->state != TLS_STATE_OPEN)
            return;
        byte_queue_drop(&session->cipher, session->worker->config.chunks, used);
        if (used < n)
            return;
    }
}

static void check_truncated(struct tls_session *session)
{
    if (session->state != TLS_STATE_OPEN || !session->lower_ended || session->peer_finished ||
        session->cipher.bytes > 0 || session->lower_held)
        return;
    session->worker->counters[TLS_TRUNCATED]++;
    tls_session_close(session, STREAM_END_RESET, "connection was closed without close_notify", false);
}

size_t tls_stream_take(struct tls_session *session, const uint8_t *p, size_t n)
{
    size_t used = 0;
    tls_session_enter(session);
    if (!session->reading) {
        if (session->cipher.bytes > 0)
            read_waiting(session);
        if (session->cipher.bytes == 0 && session->state == TLS_STATE_OPEN)
            used = pump(session, p, n);
    }
    if (session->state == TLS_STATE_OPEN) {
        session->lower_held = used < n;
        flush_lower(session);
    } else {
        used = n;
    }
    tls_session_leave(session);
    return used;
}

static void go_on_reading(struct tls_session *session)
{
    if (session->reading)
        return;
    /* wolfSSL may hold a record that was read in part only. */
    if (session->cipher.bytes == 0 && wolfSSL_pending(session->ssl) > 0)
        pump(session, NULL, 0);
    read_waiting(session);
    if (session->state == TLS_STATE_OPEN && session->lower_held && session->cipher.bytes == 0 &&
        session->spill.bytes == 0 && session->plain.bytes < TLS_PLAIN_LIMIT && session->lower != NULL) {
        session->lower_held = false;
        stream_resume(session->lower);
    }
    check_truncated(session);
}

/* ---- events from below --------------------------------------------------------------------------------- */

static void take_over(struct tls_session *session)
{
    wolfSSL_SSLSetIORecv(session->ssl, on_receive);
    wolfSSL_SSLSetIOSend(session->ssl, on_send);
    wolfSSL_SetIOReadCtx(session->ssl, session);
    wolfSSL_SetIOWriteCtx(session->ssl, session);
}

void tls_stream_refuse(struct tls_session *session, enum tls_alert alert)
{
    take_over(session);
    use_keys(session);
    tls_alert_send(session->ssl, alert);
    flush_lower(session);
}

void tls_stream_open(struct tls_session *session)
{
    WOLFSSL *ssl = session->ssl;
    take_over(session);
    session->state = TLS_STATE_OPEN;
    session->resumed = wolfSSL_session_reused(ssl) != 0;
    session->version = wolfSSL_version(ssl) == TLS1_3_VERSION ? 13 : 12;
    /* The ticket that was used does not go with the secret of this connection (RFC 8446 section 4.6.1): until
     * the server sends another there is none to keep. */
    if (session->resumed && session->version == 13 && !session->server)
        wolfSSL_set_SessionTicket(ssl, NULL, 0);
    session->suite = (uint16_t)wolfSSL_get_current_cipher_suite(ssl);
    session->worker->counters[TLS_HANDSHAKES]++;
    session->worker->counters[TLS_RESUMED] += session->resumed ? 1 : 0;
    session->upper.handler->opened(session->upper.owner);
    tls_stream_proceed(session);
}

void tls_stream_lower_ended(struct tls_session *session)
{
    go_on_reading(session);
}

void tls_stream_lower_closed(struct tls_session *session, enum stream_end why)
{
    if (why != STREAM_END_DONE) {
        tls_session_close(session, why, NULL, false);
    } else if (!session->peer_finished) {
        session->worker->counters[TLS_TRUNCATED]++;
        tls_session_close(session, STREAM_END_RESET, "connection was closed without close_notify", false);
    } else if (session->plain.bytes == 0) {
        tls_session_close(session, STREAM_END_DONE, NULL, false);
    } /* else when the upper side has taken what is left */
}

static void offer_kept(struct tls_session *session)
{
    struct tls_worker *worker = session->worker;
    session->offer_wanted = false;
    if (session->plain.bytes == 0 || session->reading)
        return;
    if (worker->scratch_busy) {
        session->offer_wanted = true;
        tls_session_stall(session);
        return;
    }
    worker->scratch_busy = true;
    size_t n = session->plain.bytes;
    byte_queue_peek(&session->plain, worker->scratch, n);
    offer(session, n, n);
    worker->scratch_busy = false;
}

static void proceed_open(struct tls_session *session)
{
    if (session->broken) {
        tls_session_close(session, STREAM_END_ABORTED, "TLS record could not be made", false);
        return;
    }
    push_output(session);
    if (session->upper_short && tls_stream_ops.room(&session->upper) > 0) {
        session->upper_short = false;
        session->upper.handler->writable(session->upper.owner);
    }
    if (session->state == TLS_STATE_OPEN && session->offer_wanted)
        offer_kept(session);
    if (session->state == TLS_STATE_OPEN)
        tell_ended(session);
    if (session->state == TLS_STATE_OPEN)
        go_on_reading(session);
    if (session->state == TLS_STATE_OPEN && session->lower == NULL && session->plain.bytes == 0)
        tls_session_close(session, STREAM_END_DONE, NULL, false);
    if (session->state == TLS_STATE_OPEN)
        flush_lower(session);
}

void tls_stream_proceed(struct tls_session *session)
{
    tls_session_enter(session);
    switch (session->state) {
    case TLS_STATE_OPEN:
        proceed_open(session);
        break;
    case TLS_STATE_LINGER:
        tls_session_linger(session);
        break;
    case TLS_STATE_HANDSHAKE:
        tls_session_want_input(session);
        break;
    case TLS_STATE_WAITING:
    case TLS_STATE_AWAY:
    case TLS_STATE_STATUS:
        tls_stream_drain(session);
        flush_lower(session);
        break;
    case TLS_STATE_FREE:
    case TLS_STATE_LOWER:
        break;
    }
    tls_session_leave(session);
}

/* ---- the upper stream's operations --------------------------------------------------------------------- */

static size_t op_room(const struct stream *s)
{
    const struct tls_session *session = tls_session_of(s);
    if (session->state != TLS_STATE_OPEN || session->finish_wanted || session->lower == NULL ||
        session->broken)
        return 0;
    return byte_queue_room(&session->stage, session->worker->config.chunks, TLS_STAGE_LIMIT);
}

static size_t op_write(struct stream *s, const uint8_t *p, size_t n)
{
    struct tls_session *session = tls_session_of(s);
    size_t done = 0;
    while (done < n) {
        size_t piece = smaller(n - done, op_room(s));
        if (piece == 0)
            break;
        done += byte_queue_append(&session->stage, session->worker->config.chunks, p + done, piece);
        if (session->stage.bytes == TLS_STAGE_LIMIT)
            seal(session, true);
    }
    if (done < n)
        session->upper_short = true;
    return done;
}

static void op_flush(struct stream *s)
{
    struct tls_session *session = tls_session_of(s);
    if (session->state != TLS_STATE_OPEN)
        return;
    session->flush_wanted = session->stage.bytes > 0;
    push_output(session);
    flush_lower(session);
}

static void op_resume(struct stream *s)
{
    struct tls_session *session = tls_session_of(s);
    if (session->state != TLS_STATE_OPEN)
        return;
    tls_session_enter(session);
    offer_kept(session);
    /* More, and the end, at the worker's next turn: so that nothing but data comes out of this call. */
    tls_session_stall(session);
    tls_session_leave(session);
}

static void op_finish(struct stream *s)
{
    struct tls_session *session = tls_session_of(s);
    session->finish_wanted = true;
    if (session->state != TLS_STATE_OPEN)
        return;
    push_output(session);
    flush_lower(session);
}

static void op_abort(struct stream *s)
{
    struct tls_session *session = tls_session_of(s);
    tls_session_enter(session);
    tls_session_abort(session);
    tls_session_leave(session);
}

static const char *op_reason(const struct stream *s)
{
    return tls_session_of(s)->reason;
}

static uint64_t op_own_us(const struct stream *s, uint64_t now_us)
{
    return tls_session_own_us(tls_session_of(s), now_us);
}

const struct stream_ops tls_stream_ops = {
    .room = op_room,
    .write = op_write,
    .flush = op_flush,
    .resume = op_resume,
    .finish = op_finish,
    .abort = op_abort,
    .reason = op_reason,
    .own_us = op_own_us,
};

/* ---- facts --------------------------------------------------------------------------------------------- */

const char *tls_stream_version(const struct stream *stream)
{
    return tls_session_of(stream)->version == 13 ? "1.3" : "1.2";
}

const char *tls_stream_cipher(const struct stream *stream)
{
    static const struct {
        uint16_t suite;
        const char *name;
    } names[] = {
        {0x1301, "TLS_AES_128_GCM_SHA256"},
        {0x1302, "TLS_AES_256_GCM_SHA384"},
        {0x1303, "TLS_CHACHA20_POLY1305_SHA256"},
        {0xC02B, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
        {0xC02C, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"},
        {0xC02F, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
        {0xC030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"},
        {0xCCAC, "TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256"},
        {0xD001, "TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256"},
        {0xCCA8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"},
        {0xCCA9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"},
    };
    uint16_t suite = tls_session_of(stream)->suite;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].suite == suite)
            return names[i].name;
    return "unknown";
}

bool tls_stream_resumed(const struct stream *stream)
{
    return tls_session_of(stream)->resumed;
}

const struct tls_peer *tls_stream_peer(const struct stream *stream)
{
    return tls_session_of(stream)->verification.peer;
}

const char *tls_stream_unchecked(const struct stream *stream)
{
    return tls_session_of(stream)->unchecked;
}

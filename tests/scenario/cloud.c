/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>
#include <wolfssl/wolfio.h>

#include "policy/mqtt/build.h"
#include "policy/mqtt/frame.h"
#include "tests/scenario/cloud.h"

#include <stdlib.h>

#define PLAIN_BYTES 65536

struct session {
    struct cloud *cloud;
    struct session *next_dirty;
    struct stream *stream; /* NULL: gone */
    WOLFSSL *ssl;
    const uint8_t *in; /* bytes that wolfSSL may read now */
    size_t in_n;
    bool dirty;
    bool said_goodbye;
    struct mqtt_framer framer;
    uint8_t *lent;
    uint8_t *out; /* ciphertext or answers that found no room */
    size_t out_n, out_room;
    uint8_t answers[1024];
    size_t answers_n;
};

struct cloud {
    WOLFSSL_CTX *context;
    bool quiet;
    bool silent;
    bool deaf;
    struct session *dirty;
    struct session **sessions;
    uint32_t sessions_n;
    struct session **clients; /* in the order of CONNECT */
    uint32_t clients_n;
    struct world_cloud seen;
    uint8_t plain[PLAIN_BYTES];
};

static const char pki_script[] =
    "set -e; cd \"$0\"; exec 2>pki.log\n"
    "key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out $1.key; }\n"
    "key ca; openssl req -x509 -new -key ca.key -subj /CN=ca -days 30 -out ca.pem -addext "
    "basicConstraints=critical,CA:true\n"
    "one() { key $1; openssl req -new -key $1.key -subj /CN=$2 -out $1.csr; printf '%s\\n' \"$3\" >$1.ext\n"
    "  openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile $1.ext -out "
    "$1.pem; }\n"
    "one server broker.cloud.example subjectAltName=DNS:broker.cloud.example\n"
    "one device device extendedKeyUsage=clientAuth\n";

bool cloud_make_pki(const char *folder)
{
    char command[4096];
    snprintf(command, sizeof(command), "sh -c '%s' '%s'", "eval \"$PKI_SCRIPT\"", folder);
    setenv("PKI_SCRIPT", pki_script, 1);
    return system(command) == 0;
}

/* ---- TLS
 * ------------------------------------------------------------------------------------------------------- */

static int tls_receive(WOLFSSL *ssl, char *to, int n, void *context)
{
    struct session *s = context;
    (void)ssl;
    if (s->in_n == 0)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    size_t taken = s->in_n < (size_t)n ? s->in_n : (size_t)n;
    memcpy(to, s->in, taken);
    s->in += taken;
    s->in_n -= taken;
    return (int)taken;
}

static void out_append(struct session *s, const void *bytes, size_t n)
{
    if (s->out_n + n > s->out_room) {
        s->out_room = (s->out_n + n) * 2;
        s->out = realloc(s->out, s->out_room);
        if (s->out == NULL)
            abort();
    }
    memcpy(s->out + s->out_n, bytes, n);
    s->out_n += n;
}

static void out_push(struct session *s)
{
    if (s->out_n == 0 || s->stream == NULL)
        return;
    size_t n = stream_write(s->stream, s->out, s->out_n);
    memmove(s->out, s->out + n, s->out_n - n);
    s->out_n -= n;
    if (s->out_n == 0) {
        free(s->out);
        s->out = NULL;
        s->out_room = 0;
    }
}

static int tls_send(WOLFSSL *ssl, char *bytes, int n, void *context)
{
    (void)ssl;
    out_append(context, bytes, (size_t)n);
    return n;
}

/* ---- MQTT
 * ------------------------------------------------------------------------------------------------------ */

static void mark_dirty(struct session *s)
{
    if (s->dirty)
        return;
    s->dirty = true;
    s->next_dirty = s->cloud->dirty;
    s->cloud->dirty = s;
}

static void answers_push(struct session *s)
{
    if (s->answers_n == 0 || s->stream == NULL)
        return;
    if (s->ssl == NULL)
        out_append(s, s->answers, s->answers_n);
    else
        wolfSSL_write(s->ssl, s->answers, (int)s->answers_n);
    s->answers_n = 0;
    out_push(s);
}

static uint8_t *answer_room(struct session *s)
{
    if (s->answers_n > sizeof(s->answers) - 64)
        answers_push(s);
    mark_dirty(s);
    return s->answers + s->answers_n;
}

static void understood(struct session *s, const struct mqtt_packet *packet)
{
    struct cloud *cloud = s->cloud;
    size_t answered = s->answers_n;
    switch (packet->type) {
    case MQTT_CONNECT:
        s->framer.version = packet->version;
        cloud->seen.connects++;
        cloud->clients = realloc(cloud->clients, (cloud->clients_n + 1) * sizeof(struct session *));
        if (cloud->clients == NULL)
            abort();
        cloud->clients[cloud->clients_n++] = s;
        if (!cloud->quiet)
            s->answers_n += mqtt_build_connack(answer_room(s), 64, packet->version, 0);
        break;
    case MQTT_PUBLISH:
        cloud->seen.publishes++;
        cloud->seen.publish_bytes += packet->publish.payload_bytes;
        snprintf(cloud->seen.last_topic, sizeof(cloud->seen.last_topic), "%.*s",
                 (int)packet->publish.topic.len, (const char *)packet->publish.topic.at);
        if (packet->publish.qos == 1)
            s->answers_n +=
                mqtt_build_ack(answer_room(s), 64, s->framer.version, MQTT_PUBACK, packet->packet_id, 0);
        break;
    case MQTT_SUBSCRIBE: {
        uint8_t codes[8] = {0};
        uint16_t n = packet->list_count < 8 ? packet->list_count : 8;
        s->answers_n += mqtt_build_suback(answer_room(s), 64, s->framer.version, MQTT_SUBACK,
                                          packet->packet_id, codes, n);
        break;
    }
    case MQTT_PINGREQ:
        s->answers_n += mqtt_build_ping(answer_room(s), 64, MQTT_PINGRESP);
        break;
    case MQTT_DISCONNECT:
        s->said_goodbye = true;
        cloud->seen.disconnects++;
        break;
    default:
        break;
    }
    if (cloud->silent)
        s->answers_n = answered;
}

static void read_mqtt(struct session *s, const uint8_t *p, size_t n)
{
    struct cursor in = cursor_of(bytes_of(p, n));
    struct mqtt_packet packet;
    for (;;) {
        switch (mqtt_framer_next(&s->framer, &in, &packet)) {
        case MQTT_STEP_PACKET:
        case MQTT_STEP_PUBLISH:
            understood(s, &packet);
            break;
        case MQTT_STEP_PAYLOAD:
            break;
        case MQTT_STEP_NEED_BUFFER: {
            uint8_t *larger = malloc(s->framer.want);
            if (larger == NULL)
                abort();
            mqtt_framer_lend(&s->framer, larger, s->framer.want);
            free(s->lent);
            s->lent = larger;
            break;
        }
        case MQTT_STEP_FAULT:
            s->cloud->seen.bad_frames++;
            return;
        case MQTT_STEP_NEED_MORE:
        default:
            return;
        }
    }
}

/* ---- stream events
 * ----------------------------------------------------------------------------------------------- */

static size_t on_data(void *owner, const uint8_t *p, size_t n)
{
    struct session *s = owner;
    if (s->cloud->deaf)
        return 0;
    if (s->ssl == NULL) {
        read_mqtt(s, p, n);
        return n;
    }
    s->in = p;
    s->in_n = n;
    for (;;) {
        int got = wolfSSL_read(s->ssl, s->cloud->plain, PLAIN_BYTES);
        if (got <= 0)
            break;
        read_mqtt(s, s->cloud->plain, (size_t)got);
    }
    size_t taken = n - s->in_n;
    s->in_n = 0;
    mark_dirty(s);
    return taken == 0 ? n : taken; /* after a fatal error the rest is of no interest */
}

static void on_opened(void *owner)
{
    (void)owner;
}

static void on_writable(void *owner)
{
    mark_dirty(owner);
}

static void let_go(struct session *s)
{
    s->stream = NULL;
    if (!s->said_goodbye)
        s->cloud->seen.ended++;
    if (s->ssl != NULL)
        wolfSSL_free(s->ssl);
    s->ssl = NULL;
    free(s->lent);
    free(s->out);
    s->lent = s->out = NULL;
    s->out_n = s->out_room = 0;
}

static void on_ended(void *owner)
{
    struct session *s = owner;
    stream_finish(s->stream);
}

static void on_closed(void *owner, enum stream_end why)
{
    (void)why;
    let_go(owner);
}

static const struct stream_handler session_handler = {on_opened, on_data, on_writable, on_ended, on_closed};

void cloud_accept(struct cloud *cloud, struct stream *stream)
{
    struct session *s = calloc(1, sizeof(*s));
    cloud->sessions = realloc(cloud->sessions, (cloud->sessions_n + 1) * sizeof(struct session *));
    if (s == NULL || cloud->sessions == NULL)
        abort();
    cloud->sessions[cloud->sessions_n++] = s;
    s->cloud = cloud;
    s->stream = stream;
    stream->handler = &session_handler;
    stream->owner = s;
    mqtt_framer_init(&s->framer, MQTT_FROM_CLIENT, MQTT_VERSION_UNKNOWN, UINT32_C(268435455), 65536);
    if (cloud->context == NULL)
        return;
    s->ssl = wolfSSL_new(cloud->context);
    if (s->ssl == NULL)
        abort();
    wolfSSL_SSLSetIORecv(s->ssl, tls_receive);
    wolfSSL_SSLSetIOSend(s->ssl, tls_send);
    wolfSSL_SetIOReadCtx(s->ssl, s);
    wolfSSL_SetIOWriteCtx(s->ssl, s);
}

void cloud_flush(struct cloud *cloud)
{
    struct session *s;
    while ((s = cloud->dirty) != NULL) {
        cloud->dirty = s->next_dirty;
        s->dirty = false;
        answers_push(s);
        out_push(s);
        if (s->stream != NULL)
            stream_flush(s->stream);
    }
}

bool cloud_send(struct cloud *cloud, uint32_t index, const void *bytes, size_t n)
{
    if (index >= cloud->clients_n || cloud->clients[index]->stream == NULL)
        return false;
    struct session *s = cloud->clients[index];
    if (s->ssl == NULL)
        out_append(s, bytes, n);
    else if (wolfSSL_write(s->ssl, bytes, (int)n) != (int)n)
        return false;
    mark_dirty(s);
    return true;
}

void cloud_behave(struct cloud *cloud, bool silent, bool deaf)
{
    cloud->silent = silent;
    cloud->deaf = deaf;
    for (uint32_t i = 0; !deaf && i < cloud->sessions_n; i++)
        if (cloud->sessions[i]->stream != NULL)
            stream_resume(cloud->sessions[i]->stream);
}

static struct session *last_session(struct cloud *cloud)
{
    struct session *s = cloud->sessions_n == 0 ? NULL : cloud->sessions[cloud->sessions_n - 1];
    return s == NULL || s->stream == NULL ? NULL : s;
}

bool cloud_send_raw(struct cloud *cloud, const void *bytes, size_t n)
{
    struct session *s = last_session(cloud);
    if (s == NULL)
        return false;
    out_append(s, bytes, n);
    mark_dirty(s);
    return true;
}

void cloud_hang_up(struct cloud *cloud, bool reset)
{
    struct session *s = last_session(cloud);
    if (s == NULL)
        return;
    out_push(s);
    if (!reset) {
        stream_finish(s->stream);
        return;
    }
    stream_abort(s->stream);
    let_go(s);
}

const struct world_cloud *cloud_seen(const struct cloud *cloud)
{
    return &cloud->seen;
}

struct cloud *cloud_create(const char *folder, bool quiet)
{
    struct cloud *cloud = calloc(1, sizeof(*cloud));
    if (cloud == NULL || folder == NULL) {
        if (cloud != NULL)
            cloud->quiet = quiet;
        return cloud;
    }
    char ca[128], certificate[128], key[128];
    snprintf(ca, sizeof(ca), "%s/ca.pem", folder);
    snprintf(certificate, sizeof(certificate), "%s/server.pem", folder);
    snprintf(key, sizeof(key), "%s/server.key", folder);
    cloud->quiet = quiet;
    cloud->context = wolfSSL_CTX_new(wolfTLSv1_3_server_method());
    if (cloud->context == NULL ||
        wolfSSL_CTX_load_verify_locations(cloud->context, ca, NULL) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_use_certificate_chain_file(cloud->context, certificate) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_use_PrivateKey_file(cloud->context, key, WOLFSSL_FILETYPE_PEM) != WOLFSSL_SUCCESS) {
        cloud_destroy(cloud);
        return NULL;
    }
    wolfSSL_CTX_set_verify(cloud->context, WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    wolfSSL_CTX_set_session_cache_mode(cloud->context, WOLFSSL_SESS_CACHE_OFF);
    return cloud;
}

void cloud_destroy(struct cloud *cloud)
{
    if (cloud == NULL)
        return;
    for (uint32_t i = 0; i < cloud->sessions_n; i++) {
        let_go(cloud->sessions[i]);
        free(cloud->sessions[i]);
    }
    free(cloud->sessions);
    free(cloud->clients);
    if (cloud->context != NULL)
        wolfSSL_CTX_free(cloud->context);
    free(cloud);
}

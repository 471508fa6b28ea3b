/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a DTLS session costs in version 1.2 and in 1.3 (B2, K3), with a key and with certificates: processor
 * time of a full handshake and of a message there and back, both ends in one thread and in memory; and the
 * bytes that the listener's side keeps, its place in the table apart. Use the ratios, the machine may be
 * shared.
 */
#include "tests/unit/dtls_server_lab.h"

#include <malloc.h>
#include <time.h>

#define HANDSHAKES 300
#define MESSAGES 20000
#define SESSIONS 8

static double processor_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void end_client(uint32_t i)
{
    dtls_session_drop(lab_now.clients[i].session);
    lab_now.clients[i].session = NULL;
}

static void shake_hands(const char *name)
{
    dial(0, name);
    exchange();
    end_client(0);
    dtls_server_close_all(lab_now.server);
    lab_now.n = 0;
}

static void measure(enum dtls_versions version, bool certificates)
{
    const char *name = certificates ? "truck-001" : "probe-1";
    lab_now.versions = lab_now.client_version = version;
    if (certificates) {
        begin_lab();
        open_server(NULL, server_context(false, true, NULL), 32);
        client_certificates(NULL);
    } else {
        open_psk();
    }
    for (int i = 0; i < HANDSHAKES / 4; i++)
        shake_hands(name);
    double started = processor_s();
    for (int i = 0; i < HANDSHAKES; i++)
        shake_hands(name);
    double handshake_s = (processor_s() - started) / HANDSHAKES;
    size_t before = mallinfo2().uordblks;
    for (uint32_t i = 0; i < SESSIONS; i++) {
        dial(i, name);
        exchange();
        say(i);
    }
    for (uint32_t i = 0; i < SESSIONS; i++)
        end_client(i);
    size_t bytes = (mallinfo2().uordblks - before) / SESSIONS;
    dial(SESSIONS, name);
    exchange();
    started = processor_s();
    for (int i = 0; i < MESSAGES; i++)
        say(SESSIONS);
    printf(
        "DTLS %s, %-12s handshake %6.3f ms of both sides, message and answer %5.0f ns of both, %5zu bytes\n",
        version == DTLS_1_3 ? "1.3" : "1.2", certificates ? "certificates" : "key", handshake_s * 1e3,
        (processor_s() - started) / MESSAGES * 1e9, bytes);
    end_lab();
}

static void all(void)
{
    printf("\n");
    for (int certificates = 0; certificates < 2; certificates++) {
        if (certificates || tls_library_has_psk())
            measure(DTLS_1_2, certificates);
        if (tls_library_has_dtls13())
            measure(DTLS_1_3, certificates);
    }
}

int main(void)
{
    static const struct unit_test tests[] = {{"DTLS", all}};
    if (tls_library_init() != 0)
        return EXIT_FAILURE;
    int result = unit_run("bench", tests, 1);
    tls_library_fini();
    lab_remove();
    return result;
}

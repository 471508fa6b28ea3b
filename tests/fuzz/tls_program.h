/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the fuzz targets of TLS streams have in common: a program of two bytes a step that drives a stream of
 * ours and the real peer of tls_lab.h: what either sends, how the wire cuts, alters, loses or holds it, how
 * much either side takes, who ends when; and what must hold at its end. One program runs at a time.
 */
#ifndef TESTS_FUZZ_TLS_PROGRAM_H
#define TESTS_FUZZ_TLS_PROGRAM_H

#include "tests/unit/tls_lab.h"

#include <stdint.h>
#include <stdlib.h>

#define PROGRAM_BYTES 130u
#define PROGRAM_READING 9u /* the step that only programs with a peer of bounded reading have */

struct program {
    struct lab *lab;
    size_t sent; /* by the peer, of the pattern */
};

static inline uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 7 + (at >> 8) * 13);
}

static inline void peer_sends(struct program *p, size_t n)
{
    static uint8_t text[16384];
    if (p->lab->server == NULL || !p->lab->server_open || p->lab->server_failed ||
        lab_pipe_bytes(&p->lab->to_client) > LAB_BUFFER / 2)
        return;
    for (size_t i = 0; i < n; i++)
        text[i] = pattern(p->sent + i);
    if (wolfSSL_write(p->lab->server, text, (int)n) == (int)n)
        p->sent += n;
}

static inline void stream_sends(struct program *p, size_t n)
{
    static const uint8_t text[16384];
    if (p->lab->client != NULL && lab_pipe_bytes(&p->lab->to_server) < LAB_BUFFER / 2)
        stream_write(p->lab->client, text, n);
}

static inline void alter(struct program *p, uint8_t argument)
{
    size_t n = lab_pipe_bytes(&p->lab->to_client);
    if (n > 0)
        p->lab->to_client.bytes[p->lab->to_client.from + argument * (n - 1) / 255] ^=
            (uint8_t)(1 + argument % 255);
}

static inline void stream_acts(struct program *p, uint8_t operation, uint8_t argument)
{
    if (p->lab->client == NULL)
        return;
    if (operation % 4 == 0)
        stream_resume(p->lab->client);
    else if (operation % 4 == 1)
        stream_finish(p->lab->client);
    else if (operation % 4 == 2)
        stream_flush(p->lab->client);
    else if (argument > 200) {
        stream_abort(p->lab->client);
        p->lab->client = NULL;
    }
}

static inline void peer_acts(struct program *p, uint8_t argument)
{
    if (p->lab->server == NULL || !p->lab->server_open)
        return;
    if (argument % 4 == 0)
        wolfSSL_shutdown(p->lab->server);
    else
        wolfSSL_update_keys(p->lab->server);
}

/* `reading`: whether its programs have that step. */
static inline void program_step(struct program *p, uint8_t operation, uint8_t argument, bool reading)
{
    unsigned int steps = reading ? 12 : 11, which = operation % steps;
    if (!reading && which >= PROGRAM_READING)
        which++;
    size_t amount = (size_t)argument * argument / 4;
    switch (which) {
    case 0:
        peer_sends(p, amount + 1);
        break;
    case 1:
        stream_sends(p, amount);
        break;
    case 2:
        peer_acts(p, argument);
        break;
    case 3:
        stream_acts(p, (uint8_t)(operation / steps), argument);
        break;
    case 4:
        alter(p, argument);
        break;
    case 5:
        p->lab->fragment = amount + 1;
        break;
    case 6:
        p->lab->room_bytes = amount;
        break;
    case 7:
        p->lab->take_at_most = amount;
        break;
    case 8:
        p->lab->hold_wire = argument % 2 == 0;
        break;
    case PROGRAM_READING:
        p->lab->server_reads = amount;
        break;
    case 10:
        p->lab->server_fin = argument % 4 == 0;
        break;
    default:
        p->lab->now_us += (uint64_t)argument * 100000;
        break;
    }
    lab_turn(p->lab);
}

static inline void program_run(struct program *p, const uint8_t *data, size_t size, bool reading)
{
    for (size_t i = 2; i + 1 < size && i < PROGRAM_BYTES; i += 2)
        program_step(p, data[i], data[i + 1], reading);
}

/* Whatever was altered on the way: what comes out is what went in, as far as it comes. */
static inline void program_check_got(struct program *p)
{
    for (size_t i = 0; i < lab_pipe_bytes(&p->lab->got); i++)
        if (i >= p->sent || p->lab->got.bytes[p->lab->got.from + i] != pattern(i))
            abort();
}

static inline void program_check_nothing_left(struct program *p)
{
    if (p->lab->client != NULL) {
        stream_abort(p->lab->client);
        p->lab->client = NULL;
    }
    tls_worker_poll(p->lab->worker, p->lab->now_us + 60000000);
    if (tls_worker_sessions(p->lab->worker) != 0 ||
        chunk_pool_free(p->lab->chunks) != chunk_pool_capacity(p->lab->chunks))
        abort();
}

#endif

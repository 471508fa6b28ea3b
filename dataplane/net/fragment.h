/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reassembly of IPv4 and IPv6 fragments (RFC 791, RFC 8200 s.4.5), within bounds: so many datagrams at once,
 * so many of one source, so large, for so long. Datagrams whose fragments overlap are dropped whole, with
 * what still comes of them (RFC 5722); exact repetitions are ignored. All fragments must come from one MAC.
 * When the table is full the oldest gives way: fragments of an honest datagram arrive within milliseconds.
 *
 * A complete datagram is written out as one frame, without tag, options or extension headers in front of the
 * fragment header, for frame_parse to judge like any other. Per worker; no locks.
 */
#ifndef DATAPLANE_NET_FRAGMENT_H
#define DATAPLANE_NET_FRAGMENT_H

#include "dataplane/net/frame.h"

#define FRAGMENT_DATAGRAMS 64
#define FRAGMENT_PER_SOURCE 8
#define FRAGMENT_BYTES 16384         /* of the reassembled packet behind its IP header */
#define FRAGMENT_TIMEOUT_US 30000000 /* since the first fragment */

struct fragment_table;

/* NULL when memory is not to be had. */
struct fragment_table *fragment_table_create(void);
void fragment_table_destroy(struct fragment_table *table);

/*
 * Takes a fragment (frame_parse has answered FRAME_FRAGMENT). FRAME_FRAGMENT: kept, or a repetition.
 * FRAME_OK: the datagram is complete, *whole of *whole_len bytes, borrowed until fragment_release.
 * FRAME_BAD_FRAGMENT, FRAME_TOO_LARGE: refused.
 */
enum frame_outcome fragment_add(struct fragment_table *table, uint16_t interface, const struct frame *frame,
                                uint64_t now_us, const uint8_t **whole, size_t *whole_len);
/* Complete datagrams have been used. */
void fragment_release(struct fragment_table *table);
/* Forgets what is too old; answers how many incomplete datagrams that were. */
uint32_t fragment_advance(struct fragment_table *table, uint64_t now_us);
/* Datagrams held, refused ones included. */
uint32_t fragment_used(const struct fragment_table *table);

#endif

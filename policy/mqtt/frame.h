/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Incremental MQTT framing: arbitrary slices of a byte stream in, whole packets and pieces of payload out
 * (D1; MQTT 5.0 s.2.1).
 *
 * A packet that lies whole in the slice at hand is handed out in place, uncopied. One that does not is
 * gathered in a buffer that the caller lends (MQTT_STEP_NEED_BUFFER) and takes back when mqtt_framer_idle()
 * says that no packet is half read; an idle connection therefore owns none. Payloads of PUBLISH are never
 * gathered unless asked (mqtt_framer_hold): its head (topic, identifier, properties) is handed out as soon as
 * it is whole, then the payload as slices. Lengths are judged from the fixed header, before bytes are stored:
 * a length that is not minimal, has five bytes, or is above the limit is a fault at once, and so is a type or
 * flag nibble that the version or the sender does not allow. After a fault the framer answers it for ever.
 * How the stream was cut into slices changes nothing but which pieces a payload comes in.
 *
 * While `version` is MQTT_VERSION_UNKNOWN only a CONNECT of a client passes; the caller sets `version` (and
 * may change the limits and `utf8`) between two packets. Once it is set, a second CONNECT is a fault.
 *
 * Steps: fixed header (gathered in the framer itself, 5 bytes), body, and for a PUBLISH that is not whole,
 * head and payload. Buffers are asked for by what has arrived, not by what a header announces: at least 256
 * bytes or the packet, then twice what is there, so one packet may ask several times.
 *
 * Not thread-safe; belongs to one direction of one session.
 */
#ifndef POLICY_MQTT_FRAME_H
#define POLICY_MQTT_FRAME_H

#include "policy/mqtt/packet.h"

enum mqtt_step {
    MQTT_STEP_FAULT = 0,   /* see framer->fault */
    MQTT_STEP_NEED_MORE,   /* all of the input was taken; nothing whole yet */
    MQTT_STEP_NEED_BUFFER, /* lend framer->want bytes with mqtt_framer_lend, then call again with the same
                              cursor */
    MQTT_STEP_PACKET,      /* `out` is a whole packet (PUBLISH: its payload is whole too) */
    MQTT_STEP_PUBLISH, /* `out` is the head of a PUBLISH with the first part of its payload (perhaps empty);
                          more follows */
    MQTT_STEP_PAYLOAD, /* `out->publish.payload` is the next part (nothing else of `out` is set);
                          framer->payload_left bytes follow */
};

struct mqtt_framer {
    enum mqtt_sender sender;
    enum mqtt_version version;
    enum utf8_level utf8;
    enum outcome fault;
    bool pass_defects;           /* a PUBLISH with a defect (packet.h), or with more properties than
                                    head_limit_bytes holds, is handed out instead of a fault */
    uint32_t packet_limit_bytes; /* whole packet, fixed header included */
    uint32_t head_limit_bytes;   /* what may be gathered: packets other than PUBLISH, heads of PUBLISH */
    uint32_t want;               /* with MQTT_STEP_NEED_BUFFER */
    uint32_t payload_left;       /* of the PUBLISH being streamed */
    /* private */
    uint8_t *buffer;
    uint32_t capacity;
    uint32_t gathered;
    uint32_t remaining_length;
    uint32_t taken; /* from the slice, by MQTT_STEP_PUBLISH */
    uint8_t header[5];
    uint8_t header_len;
    uint8_t state;
    bool may_hold;
};

void mqtt_framer_init(struct mqtt_framer *f, enum mqtt_sender sender, enum mqtt_version version,
                      uint32_t packet_limit_bytes, uint32_t head_limit_bytes);

/* The next step from `in`, which is advanced over what was taken. What `out` borrows lives until the next
 * call or until `in`'s bytes die. */
enum mqtt_step mqtt_framer_next(struct mqtt_framer *f, struct cursor *in, struct mqtt_packet *out);

/* Lends a buffer of at least framer->want bytes; what was gathered in an earlier one is copied over, and that
 * one is the caller's again on return. */
void mqtt_framer_lend(struct mqtt_framer *f, uint8_t *buffer, uint32_t capacity);
/* Takes the buffer back: NULL when none was lent. Only while idle, after a fault, or for good. */
uint8_t *mqtt_framer_reclaim(struct mqtt_framer *f);
/* True between packets; false after a fault. */
bool mqtt_framer_idle(const struct mqtt_framer *f);

/*
 * Right after MQTT_STEP_PUBLISH, with the same cursor: gather the whole packet instead of streaming it. The
 * cursor goes back over what the step took of the slice, so those bytes count as not taken, and may be
 * offered again later like any others. The same PUBLISH comes again, as MQTT_STEP_PACKET, once it is whole
 * (it asks for a buffer); it is bounded by packet_limit_bytes.
 */
void mqtt_framer_hold(struct mqtt_framer *f, struct cursor *in);

#endif

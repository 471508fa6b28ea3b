/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/coap/exchange.h"

#define SEQUENCE_HALF (UINT32_C(1) << 23)
#define SEQUENCE_MASK UINT32_C(0xFFFFFF)
#define SEQUENCE_FRESH_US UINT64_C(128000000)

/* ---- one message that wants an acknowledgement -----------------------------------------------------------
 */

static void transmission_start(struct coap_transmission *t, uint16_t mid, uint16_t random, uint64_t now_us)
{
    /* Between ACK_TIMEOUT and ACK_TIMEOUT * 1.5 (s.4.2). */
    t->timeout_us = COAP_ACK_TIMEOUT_US + (COAP_ACK_TIMEOUT_US / 2 * random >> 16);
    t->due_us = now_us + t->timeout_us;
    t->mid = mid;
    t->sent_again = 0;
}

static void transmission_stop(struct coap_transmission *t)
{
    t->due_us = COAP_NEVER_US;
}

/* True when it is to be sent again; false when it was sent often enough. */
static bool transmission_again(struct coap_transmission *t, uint64_t now_us)
{
    if (t->sent_again >= COAP_MAX_RETRANSMIT) {
        transmission_stop(t);
        return false;
    }
    t->sent_again++;
    t->timeout_us *= 2;
    t->due_us = now_us + t->timeout_us;
    return true;
}

/* ---- the client's side -----------------------------------------------------------------------------------
 */

void coap_exchange_begin(struct coap_exchange *x, bool confirmable, uint16_t mid, uint64_t now_us)
{
    *x = (struct coap_exchange){.begun_us = now_us,
                                .confirmed_us = now_us,
                                .leisure_us = COAP_NEVER_US,
                                .ack_due_us = confirmable ? now_us + COAP_ACK_DELAY_US : COAP_NEVER_US,
                                .give_up_us = now_us + COAP_TURN_WAIT_US,
                                .up = {.due_us = COAP_NEVER_US},
                                .down = {.due_us = COAP_NEVER_US},
                                .mid = mid,
                                .confirmable = confirmable};
}

unsigned int coap_exchange_repeated(const struct coap_exchange *x)
{
    if (!x->confirmable)
        return 0; /* s.4.3: a repeated NON is ignored */
    if (x->replied && x->piggybacked)
        return COAP_DO_DOWN_REPLY;
    /* Answered apart, or to be: the ACK may have been lost, the response has a life of its own. */
    return x->down_state == COAP_DOWN_PENDING ? 0 : COAP_DO_DOWN_ACK;
}

struct coap_reply_form coap_exchange_reply(struct coap_exchange *x, bool reliable, uint16_t mid,
                                           uint16_t random, uint64_t now_us)
{
    struct coap_reply_form form = {.type = COAP_NON, .mid = mid, .now = true};
    bool first = !x->replied;
    x->replied = true;
    x->ack_due_us = COAP_NEVER_US;
    if (first && x->confirmable && x->down_state == COAP_DOWN_PENDING) {
        form.type = COAP_ACK;
        form.mid = x->mid;
        x->piggybacked = true;
        x->down_state = COAP_DOWN_DONE;
        return form;
    }
    if (x->down_state == COAP_DOWN_SENT) {
        /* RFC 7641 s.4.5.2: the newer notification takes the place of the one that is on its way. */
        form.type = COAP_CON;
        form.now = false;
        x->down.mid = mid;
        return form;
    }
    x->piggybacked = false;
    x->down.mid = mid;
    x->down_state = COAP_DOWN_DONE;
    if (!first && now_us - x->confirmed_us >= COAP_OBSERVE_CONFIRM_US)
        reliable = true;
    if (reliable && (x->confirmable || !first)) {
        form.type = COAP_CON;
        transmission_start(&x->down, mid, random, now_us);
        x->down_state = COAP_DOWN_SENT;
    }
    return form;
}

bool coap_exchange_down_ack(struct coap_exchange *x, uint16_t mid, uint64_t now_us)
{
    if (x->down_state != COAP_DOWN_SENT || x->down.mid != mid)
        return false;
    x->confirmed_us = now_us;
    transmission_stop(&x->down);
    x->down_state = COAP_DOWN_DONE;
    return true;
}

unsigned int coap_exchange_down_rst(struct coap_exchange *x, uint16_t mid)
{
    if (!x->replied || x->piggybacked || x->down.mid != mid)
        return 0;
    transmission_stop(&x->down);
    x->down_state = COAP_DOWN_DONE;
    return x->up_state == COAP_UP_OBSERVING ? COAP_DO_END_OBSERVE : 0;
}

/* ---- the upstream's side ---------------------------------------------------------------------------------
 */

void coap_exchange_send_up(struct coap_exchange *x, uint16_t mid, uint16_t random, uint64_t now_us)
{
    x->up_state = COAP_UP_SENT;
    x->give_up_us = COAP_NEVER_US;
    transmission_start(&x->up, mid, random, now_us);
    if (!x->confirmable) {
        x->up.due_us = now_us + COAP_NON_EXPECTED_US;
        x->give_up_us = now_us + COAP_NON_WAIT_US;
    }
}

bool coap_exchange_up_ack(struct coap_exchange *x, uint16_t mid, uint64_t now_us)
{
    if (x->up_state != COAP_UP_SENT || !x->confirmable || x->up.mid != mid)
        return false;
    transmission_stop(&x->up);
    x->up_state = COAP_UP_ACKED;
    x->give_up_us = now_us + COAP_EXCHANGE_LIFETIME_US;
    return true;
}

unsigned int coap_exchange_up_rst(struct coap_exchange *x, uint16_t mid)
{
    bool awaited = x->up_state == COAP_UP_SENT || (x->up_state == COAP_UP_ACKED && !x->confirmable);
    if (!awaited || x->up.mid != mid)
        return 0;
    x->reset = true;
    coap_exchange_stop_up(x);
    return COAP_DO_FAIL;
}

bool coap_observe_newer(uint32_t last, uint64_t last_us, uint32_t next, uint64_t now_us)
{
    if (now_us - last_us > SEQUENCE_FRESH_US)
        return true;
    uint32_t ahead = (next - last) & SEQUENCE_MASK;
    return ahead != 0 && ahead < SEQUENCE_HALF;
}

unsigned int coap_exchange_up_response(struct coap_exchange *x, enum coap_type type, uint16_t mid,
                                       bool notification, uint32_t sequence, uint64_t now_us)
{
    unsigned int todo = type == COAP_CON ? COAP_DO_UP_ACK : 0;
    bool awaited = x->up_state == COAP_UP_SENT || x->up_state == COAP_UP_ACKED;
    if (type == COAP_RST || (type == COAP_ACK && (x->up_state != COAP_UP_SENT || x->up.mid != mid)))
        return 0;
    if (!awaited && x->up_state != COAP_UP_OBSERVING)
        return todo;
    transmission_stop(&x->up); /* a response that overtakes its ACK implies it (s.5.2.2) */
    if (!notification) {
        coap_exchange_stop_up(x);
        return todo | COAP_DO_TAKE;
    }
    if (x->has_sequence && !coap_observe_newer(x->sequence, x->notified_us, sequence, now_us))
        return todo;
    x->up_state = COAP_UP_OBSERVING;
    x->has_sequence = true;
    x->sequence = sequence & SEQUENCE_MASK;
    x->notified_us = now_us;
    x->give_up_us = now_us + COAP_OBSERVE_SILENCE_US;
    return todo | COAP_DO_TAKE;
}

void coap_exchange_hand_over(struct coap_exchange *x, uint64_t give_up_us)
{
    transmission_stop(&x->up);
    x->up_state = COAP_UP_ACKED;
    x->give_up_us = give_up_us;
}

void coap_exchange_watch(struct coap_exchange *x)
{
    transmission_stop(&x->up);
    x->up_state = COAP_UP_OBSERVING;
    x->give_up_us = COAP_NEVER_US;
}

void coap_exchange_stop_up(struct coap_exchange *x)
{
    transmission_stop(&x->up);
    x->give_up_us = COAP_NEVER_US;
    x->up_state = COAP_UP_DONE;
}

void coap_exchange_delay(struct coap_exchange *x, uint64_t due_us)
{
    x->leisure_us = due_us;
}

/* ---- time ------------------------------------------------------------------------------------------------
 */

static bool over(const struct coap_exchange *x)
{
    return x->up_state != COAP_UP_OBSERVING && x->replied && x->down_state == COAP_DOWN_DONE &&
           x->leisure_us == COAP_NEVER_US;
}

static uint64_t forget_us(const struct coap_exchange *x)
{
    return x->begun_us + (x->confirmable ? COAP_EXCHANGE_LIFETIME_US : COAP_NON_LIFETIME_US);
}

static unsigned int fire_up(struct coap_exchange *x, uint64_t now_us)
{
    if (!x->confirmable && x->up.due_us <= now_us) {
        transmission_stop(&x->up);
        x->up_state = COAP_UP_ACKED;
        return COAP_DO_LANDED;
    }
    if (x->up.due_us <= now_us && transmission_again(&x->up, now_us))
        return COAP_DO_UP_REQUEST;
    bool spent = x->up_state == COAP_UP_SENT && x->confirmable && x->up.due_us == COAP_NEVER_US;
    if (!spent && x->give_up_us > now_us)
        return 0;
    bool observing = x->up_state == COAP_UP_OBSERVING;
    coap_exchange_stop_up(x);
    return observing ? COAP_DO_END_OBSERVE : COAP_DO_FAIL;
}

static unsigned int fire_down(struct coap_exchange *x, uint64_t now_us)
{
    if (x->ack_due_us <= now_us) {
        x->ack_due_us = COAP_NEVER_US;
        x->down_state = COAP_DOWN_ACKED;
        return COAP_DO_DOWN_ACK;
    }
    if (x->leisure_us <= now_us) {
        x->leisure_us = COAP_NEVER_US;
        return COAP_DO_DOWN_REPLY;
    }
    if (x->down.due_us > now_us)
        return 0;
    if (transmission_again(&x->down, now_us))
        return COAP_DO_DOWN_REPLY;
    x->down_state = COAP_DOWN_DONE;
    return x->up_state == COAP_UP_OBSERVING ? COAP_DO_END_OBSERVE : 0;
}

unsigned int coap_exchange_fire(struct coap_exchange *x, uint64_t now_us)
{
    unsigned int todo = fire_down(x, now_us) | fire_up(x, now_us);
    if (over(x) && forget_us(x) <= now_us)
        todo |= COAP_DO_FORGET;
    return todo;
}

uint64_t coap_exchange_due_us(const struct coap_exchange *x)
{
    uint64_t due_us = over(x) ? forget_us(x) : COAP_NEVER_US;
    const uint64_t others[] = {x->leisure_us, x->ack_due_us, x->give_up_us, x->up.due_us, x->down.due_us};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (others[i] < due_us)
            due_us = others[i];
    return due_us;
}

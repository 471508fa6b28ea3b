/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any sequence of events on one exchange. Whatever happens: a request is sent upstream at most five times,
 * a reply that was acknowledged is not sent again, nothing is outstanding that is over, and every exchange
 * that is replied to and does not observe is forgotten in the end.
 */
#include "policy/coap/exchange.h"

#include <assert.h>

struct world {
    struct coap_exchange x;
    uint64_t now_us;
    uint32_t sent_up;
    uint16_t next_mid;
    bool forgotten;
};

static void carry_out(struct world *w, unsigned int todo)
{
    if ((todo & COAP_DO_UP_REQUEST) != 0) {
        assert(w->x.up_state == COAP_UP_SENT);
        w->sent_up++;
    }
    assert(w->sent_up <= 1 + COAP_MAX_RETRANSMIT);
    if ((todo & COAP_DO_FAIL) != 0) {
        assert(!coap_exchange_outstanding(&w->x));
        coap_exchange_reply(&w->x, false, w->next_mid++, 0, w->now_us);
    }
    if ((todo & COAP_DO_TAKE) != 0)
        coap_exchange_reply(&w->x, true, w->next_mid++, 7, w->now_us);
    if ((todo & COAP_DO_END_OBSERVE) != 0)
        coap_exchange_stop_up(&w->x);
    w->forgotten = (todo & COAP_DO_FORGET) != 0;
}

static void step(struct world *w, uint8_t what, uint8_t detail)
{
    uint16_t mid = detail < 200 ? w->x.up.mid : detail;
    switch (what % 8) {
    case 0:
        w->now_us += (uint64_t)detail * 500000;
        carry_out(w, coap_exchange_fire(&w->x, w->now_us));
        break;
    case 1:
        if (w->x.up_state == COAP_UP_NONE) {
            coap_exchange_send_up(&w->x, w->next_mid++, (uint16_t)(detail * 257), w->now_us);
            w->sent_up++;
        }
        break;
    case 2:
        coap_exchange_up_ack(&w->x, mid, w->now_us);
        break;
    case 3:
        carry_out(w, coap_exchange_up_rst(&w->x, mid));
        break;
    case 4:
        carry_out(w, coap_exchange_up_response(&w->x, (enum coap_type)(detail & 3), mid, (detail & 4) != 0,
                                               detail, w->now_us));
        break;
    case 5:
        assert((coap_exchange_repeated(&w->x) & ~(unsigned int)(COAP_DO_DOWN_ACK | COAP_DO_DOWN_REPLY)) == 0);
        break;
    case 6:
        if (coap_exchange_down_ack(&w->x, detail < 200 ? w->x.down.mid : detail, w->now_us))
            assert(w->x.down_state == COAP_DOWN_DONE && w->x.down.due_us == COAP_NEVER_US);
        break;
    default:
        carry_out(w, coap_exchange_down_rst(&w->x, detail < 200 ? w->x.down.mid : detail));
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {.now_us = 1000000000, .next_mid = 100};
    if (size == 0)
        return 0;
    coap_exchange_begin(&w.x, (data[0] & 1) != 0, 7, w.now_us);
    for (size_t i = 1; i + 1 < size && !w.forgotten; i += 2)
        step(&w, data[i], data[i + 1]);
    /* Time alone brings every exchange to its end. */
    for (int i = 0; i < 64 && !w.forgotten; i++) {
        uint64_t due_us = coap_exchange_due_us(&w.x);
        assert(due_us != COAP_NEVER_US);
        if (due_us > w.now_us)
            w.now_us = due_us;
        carry_out(&w, coap_exchange_fire(&w.x, w.now_us));
    }
    assert(w.forgotten);
    return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/verdict.h"

static const struct {
    const char *id;
    const char *text;
    uint8_t mqtt5_code;
} outcomes[OUTCOME_COUNT] = {
#define OUTCOME_ROW(name, id_, text_, code_) [OUTCOME_##name] = {id_, text_, code_},
    OUTCOME_TABLE(OUTCOME_ROW)
#undef OUTCOME_ROW
};

/* A value that is not in the table is treated as undecided: a refusal. */
static unsigned int row_of(enum outcome outcome)
{
    unsigned int row = (unsigned int)outcome;
    return row < OUTCOME_COUNT ? row : OUTCOME_UNDECIDED;
}

const char *outcome_id(enum outcome outcome)
{
    return outcomes[row_of(outcome)].id;
}

const char *outcome_text(enum outcome outcome)
{
    return outcomes[row_of(outcome)].text;
}

uint8_t outcome_mqtt5_code(enum outcome outcome)
{
    return outcomes[row_of(outcome)].mqtt5_code;
}

uint8_t outcome_connack3_code(enum outcome outcome)
{
    if (outcome == OUTCOME_ALLOWED)
        return 0x00;
    switch (outcome_mqtt5_code(outcome)) {
    case 0x84: /* unsupported protocol version */
        return 0x01;
    case 0x85: /* client identifier not valid */
        return 0x02;
    case 0x86: /* bad user name or password */
        return 0x04;
    case 0x00: /* an end that is nobody's fault is still no acceptance */
    case 0x83: /* implementation specific, undecided */
    case 0x88: /* server unavailable */
    case 0x89: /* server busy */
    case 0x8B: /* server shutting down */
    case 0x96: /* message rate too high */
    case 0x97: /* quota exceeded */
    case 0x9F: /* connection rate exceeded */
        return 0x03;
    default:
        return 0x05;
    }
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Content-Format of CoAP (RFC 7252 s.12.3) and Content Type of MQTT 5.0 (s.3.3.2.3.9), one as the other:
 * those of the registry that devices use. What is not among them is not told, rather than wrongly. Pure.
 */
#ifndef POLICY_COAP_FORMAT_H
#define POLICY_COAP_FORMAT_H

#include "policy/bytes.h"

#define COAP_FORMAT_NONE UINT32_MAX

/* NULL: none that is known. `text`: it is UTF-8, which MQTT 5.0 can say of a payload (s.3.3.2.3.2). */
const char *coap_format_type(uint32_t format, bool *text);
/* Of a Content Type, whose parameters must be those of the registry; COAP_FORMAT_NONE: none that is known. */
uint32_t coap_format_of(struct bytes type);

#endif

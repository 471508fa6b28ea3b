/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/bench/load_options.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static bool set_option(struct load_options *o, const char *name, const char *value)
{
    const struct {
        const char *name;
        uint32_t *to;
    } numbers[] = {
        {"--connections", &o->connections},
        {"--qos", &o->qos},
        {"--payload", &o->payload},
        {"--batch", &o->batch},
        {"--rate", &o->rate},
        {"--inflight", &o->inflight},
        {"--opening", &o->opening},
        {"--spin", &o->spin},
        {"--numbered", &o->numbered},
        {"--tls", &o->tls},
        {"--resume", &o->resume},
    };
    const struct {
        const char *name;
        const char **to;
    } texts[] = {{"--name", &o->name}, {"--cert", &o->certificate}, {"--key", &o->key}};
    char address[32];
    unsigned int number;
    struct in_addr ip;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (strcmp(name, numbers[i].name) == 0)
            return sscanf(value, "%u", numbers[i].to) == 1;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (strcmp(name, texts[i].name) == 0) {
            *texts[i].to = value;
            return true;
        }
    if (strcmp(name, "--to") == 0) {
        if (sscanf(value, "%31[0-9.]:%u", address, &number) != 2 || inet_pton(AF_INET, address, &ip) != 1)
            return false;
        o->to =
            (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)number), .sin_addr = ip};
        return true;
    }
    if (strcmp(name, "--sources") != 0 || sscanf(value, "%31[0-9.]/%u", address, &o->sources) != 2)
        return false;
    o->source = inet_pton(AF_INET, address, &ip) == 1 ? ntohl(ip.s_addr) : 0;
    return o->source != 0 && o->sources > 0;
}

bool load_options_parse(struct load_options *o, int argc, char **argv)
{
    *o = (struct load_options){.sources = 1,
                               .connections = 1,
                               .name = "dev-",
                               .payload = 64,
                               .batch = 1,
                               .inflight = 1,
                               .opening = 64};
    static const char *const modes[] = {"publish", "connect", "idle"};
    bool good = false;
    for (int i = 0; i < 3 && argc > 1; i++)
        if (strcmp(argv[1], modes[i]) == 0) {
            o->mode = (enum load_mode)i;
            good = true;
        }
    for (int i = 2; good && i < argc; i += 2)
        good = i + 1 < argc && set_option(o, argv[i], argv[i + 1]);
    return good && o->to.sin_port != 0 && o->connections > 0 && o->batch > 0 && o->batch <= 1000 &&
           o->qos <= 1 && o->payload <= 65536 && o->inflight >= o->batch * o->qos && o->inflight < 60000 &&
           o->opening > 0 && (o->certificate == NULL) == (o->key == NULL) &&
           (o->tls != 0 || (o->resume == 0 && o->certificate == NULL)) &&
           (o->numbered == 0 || (o->qos == 1 && o->payload >= 10));
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sallyport: options, then the gateway. Exit statuses as in the operators' surface 2.1. */
#include "gateway/confine.h"
#include "gateway/control.h"
#include "gateway/gateway.h"
#include "gateway/notify.h"
#include "gateway/reload.h"

#include <getopt.h>
#include <rte_version.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

/* gcc and clang say it in different ways. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZERS "address"
#elif defined(__SANITIZE_THREAD__)
#define SANITIZERS "thread"
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZERS "address"
#elif __has_feature(thread_sanitizer)
#define SANITIZERS "thread"
#endif
#endif
#ifndef SANITIZERS
#define SANITIZERS "none"
#endif

#define DEFAULT_CONFIG "/etc/sallyport/sallyport.conf"

enum action {
    ACTION_RUN = 0,
    ACTION_CHECK,
    ACTION_PRINT,
    ACTION_VERSION,
};

static const char usage_text[] =
    "usage: sallyport [-c FILE] [-p DIR] [-t | -T | -V] [-f] [-q | -v] [--no-huge] [-- EAL ARGUMENTS]\n"
    "  -c FILE    configuration of this box (" DEFAULT_CONFIG ")\n"
    "  -p DIR     policy directory (policy.d beside FILE)\n"
    "  -t         check everything and exit; needs no NIC, hugepages or root\n"
    "  -T         check and print the effective configuration\n"
    "  -V         print build facts\n"
    "  -f         stay in the foreground, log to stderr\n"
    "  -q, -v     less, more to say\n"
    "  --no-huge  do without hugepages\n"
    "signals: HUP reload, USR1 reopen logs, TERM drain and stop (twice: at once)\n";

static int print_version(void)
{
    if (tls_library_init() != 0)
        return GATEWAY_EXIT_FAULT;
    printf("sallyport %s\n", GATEWAY_VERSION);
    printf("compiler   %s\n", __VERSION__);
    printf("dpdk       %s\n", rte_version());
    printf("tls        %s\n", tls_library_facts());
    printf("sanitizers %s\n", SANITIZERS);
    const char *dtls = tls_library_has_dtls13() ? "dtls 1.2, dtls 1.3 by option" : "dtls 1.2";
    printf("listeners  mqtt (tcp, or tls 1.3, tls 1.2 by option), coap (udp, or %s)\n", dtls);
    printf("upstreams  mqtt over tls 1.3, tls 1.2 by option, or plain; coap over %s, or plain; "
           "certificates or psk\n",
           dtls);
    printf("confined   %s\n", CONFINE_BUILD == 0
                                  ? "not in a sanitizer build"
                                  : "capabilities, files (Landlock), system calls (seccomp), core dumps");
    tls_library_fini();
    return GATEWAY_EXIT_OK;
}

static int check(const struct gateway_options *options, bool print)
{
    struct diagnostics *d = diagnostics_create();
    if (d == NULL || tls_library_init() != 0)
        return GATEWAY_EXIT_FAULT;
    struct config_text text = {.at = NULL};
    const struct policy_wishes wishes = {.style = print ? CONFIG_PRINT_SHOWN : CONFIG_PRINT_NONE,
                                         .text = &text,
                                         .tests = !print && options->verbosity > 0 ? stdout : NULL};
    struct generation *generation =
        generation_load_with(options->config_file, options->policy_directory, 1, NULL, d, &wishes);
    if (generation == NULL || options->verbosity >= 0)
        reload_print(d, 0, stderr);
    if (generation != NULL && print)
        fwrite(text.at, 1, text.len, stdout);
    else if (generation != NULL && options->verbosity >= 0)
        printf("ok: %u roles, %u rules, %u devices, tests %u/%u, policy %s\n", generation->summary.roles,
               generation->summary.rules, generation->summary.devices, generation->summary.tests_passed,
               generation->summary.tests, snapshot_fingerprint(generation->policy));
    int status = generation == NULL ? GATEWAY_EXIT_CONFIG : GATEWAY_EXIT_OK;
    if (fflush(stdout) != 0 || ferror(stdout) != 0)
        status = GATEWAY_EXIT_FAULT;
    config_text_fini(&text);
    generation_destroy(generation);
    diagnostics_destroy(d);
    tls_library_fini();
    return status;
}

/* Threads started by libraries must not take our signals, so they are blocked before any exists. */
static void block_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static int run(const struct gateway_options *options)
{
    static struct gateway gateway;
    if (!options->foreground)
        openlog("sallyport", LOG_PID, LOG_DAEMON);
    block_signals();
    uint64_t begun_us = gateway_monotonic_us();
    int status = gateway_start(&gateway, options);
    if (status != GATEWAY_EXIT_OK)
        return status;
    struct control *control = control_create(&gateway);
    status = GATEWAY_EXIT_FAULT;
    if (control != NULL)
        status = gateway_confine(&gateway);
    if (control != NULL && status == GATEWAY_EXIT_OK) {
        gateway_say(&gateway, 0, "ready in %.1f s", (double)(gateway_monotonic_us() - begun_us) / 1e6);
        notify_state("READY=1");
        status = control_run(control);
        notify_state("STOPPING=1");
    }
    control_destroy(control);
    gateway_stop(&gateway);
    return status;
}

/* policy.d beside the configuration file. */
static char *default_policy(const char *config_file)
{
    const char *slash = strrchr(config_file, '/');
    int directory = slash == NULL ? 1 : (int)(slash - config_file);
    char *path = NULL;
    if (asprintf(&path, "%.*s/policy.d", directory, slash == NULL ? "." : config_file) < 0)
        return NULL;
    return path;
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"no-huge", no_argument, NULL, 'H'}, {"help", no_argument, NULL, 'h'}, {0}};
    struct gateway_options options = {.config_file = DEFAULT_CONFIG, .program = argv[0]};
    enum action action = ACTION_RUN;
    int option;
    while ((option = getopt_long(argc, argv, "+c:p:tTVfqvh", long_options, NULL)) != -1) {
        switch (option) {
        case 'c':
            options.config_file = optarg;
            break;
        case 'p':
            options.policy_directory = optarg;
            break;
        case 't':
            action = ACTION_CHECK;
            break;
        case 'T':
            action = ACTION_PRINT;
            break;
        case 'V':
            action = ACTION_VERSION;
            break;
        case 'f':
            options.foreground = true;
            break;
        case 'q':
            options.verbosity = -1;
            break;
        case 'v':
            options.verbosity = 1;
            break;
        case 'H':
            options.no_huge = true;
            break;
        case 'h':
            fputs(usage_text, stdout);
            return GATEWAY_EXIT_OK;
        default:
            fputs(usage_text, stderr);
            return GATEWAY_EXIT_USAGE;
        }
    }
    if (optind < argc && strcmp(argv[optind - 1], "--") != 0) {
        fprintf(stderr, "sallyport: unexpected argument '%s'\n%s", argv[optind], usage_text);
        return GATEWAY_EXIT_USAGE;
    }
    options.eal = argv + optind;
    options.eal_n = (uint32_t)(argc - optind);
    char *policy = options.policy_directory == NULL ? default_policy(options.config_file) : NULL;
    if (policy != NULL)
        options.policy_directory = policy;
    int status = action == ACTION_VERSION ? print_version()
                 : action == ACTION_RUN   ? run(&options)
                                          : check(&options, action == ACTION_PRINT);
    free(policy);
    return status;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/net/port.h"

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXIT_UNAVAILABLE 69 /* sysexits.h: EX_UNAVAILABLE, EX_NOPERM */
#define EXIT_PERMISSION 77
#define DESCRIPTORS 1024
#define MBUFS_BASE 8192
#define MBUF_CACHE 256
#define MEMORY_MIN_BYTES (256ull << 20)
#define MBUF_BYTES 2560 /* with all that belongs to one */
#define ARGUMENTS_MAX 64
#define ARGUMENT_BYTES 1024
#define DEVICE_ARGUMENTS_BYTES 512

enum device_kind {
    DEVICE_NONE = 0,
    DEVICE_PCI,
    DEVICE_AF_PACKET,
    DEVICE_AF_XDP,
    DEVICE_TAP,
    DEVICE_MEMIF,
    DEVICE_RING,
    DEVICE_PCAP,
};

static const struct device_form {
    const char *prefix; /* as operators write it, with the colon */
    const char *driver;
    enum device_kind kind;
} device_forms[] = {
    {"pci:", NULL, DEVICE_PCI},
    {"af_packet:", "net_af_packet", DEVICE_AF_PACKET},
    {"af_xdp:", "net_af_xdp", DEVICE_AF_XDP},
    {"tap:", "net_tap", DEVICE_TAP},
    {"memif:", "net_memif", DEVICE_MEMIF},
    {"ring:", "net_ring", DEVICE_RING},
    {"pcap:", "net_pcap", DEVICE_PCAP},
};

/* A device string taken apart. */
struct device {
    const struct device_form *form;
    char ethdev[RTE_ETH_NAME_MAX_LEN]; /* its name in DPDK */
    char what[DEVICE_ARGUMENTS_BYTES]; /* up to the first comma: interface, address, file */
    const char *more;                  /* from that comma on, or "" */
};

/* A mempool that port_eal_start made, for port_eal_stop. */
static struct rte_mempool *mempool;

__attribute__((format(printf, 4, 5))) static int fail(struct port_error *error, int errno_value,
                                                      int exit_status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof(error->text), format, arguments);
    va_end(arguments);
    error->exit_status = exit_status;
    return -errno_value;
}

/* Drivers answer -1 for anything: that is no missing permission when we are root. */
static bool not_permitted(int errno_value)
{
    return errno_value == EACCES || (errno_value == EPERM && geteuid() != 0);
}

/* ---- device strings ------------------------------------------------------------------------------------ */

static int device_parse(struct device *out, const struct port_config *config, uint32_t index,
                        struct port_error *error)
{
    out->form = NULL;
    const char *rest = NULL;
    for (size_t i = 0; i < RTE_DIM(device_forms); i++) {
        size_t n = strlen(device_forms[i].prefix);
        if (strncmp(config->device, device_forms[i].prefix, n) == 0) {
            out->form = &device_forms[i];
            rest = config->device + n;
        }
    }
    if (out->form == NULL || *rest == '\0')
        return fail(error, EINVAL, 1,
                    "port \"%s\": device \"%s\" is none of pci:, af_packet:, af_xdp:, tap:, memif:, ring:, "
                    "pcap:; write for example \"af_xdp:eth1\"",
                    config->name, config->device);
    size_t n = out->form->kind == DEVICE_MEMIF ? 0 : strcspn(rest, ",");
    if (strlen(rest) >= DEVICE_ARGUMENTS_BYTES / 2)
        return fail(error, EINVAL, 1, "port \"%s\": device string is too long", config->name);
    snprintf(out->what, sizeof(out->what), "%.*s", (int)n, rest);
    out->more = rest + n;
    if (out->form->kind == DEVICE_PCI)
        snprintf(out->ethdev, sizeof(out->ethdev), "%.*s", (int)n, rest);
    else
        snprintf(out->ethdev, sizeof(out->ethdev), "%s%" PRIu32, out->form->driver, index);
    return 0;
}

static bool ask_ethtool(const char *interface, void *command)
{
    struct ifreq request = {.ifr_data = command};
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%.*s", IFNAMSIZ - 1, interface);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool answered = ioctl(fd, SIOCETHTOOL, &request) == 0;
    close(fd);
    return answered;
}

/* How many queues the af_xdp driver will find: it counts combined channels, and sees but the first queue of
 * interfaces that have none (veth). */
static uint32_t combined_channels(const char *interface)
{
    struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
    bool known = ask_ethtool(interface, &channels) && channels.combined_count > 0;
    return known ? channels.combined_count : 1;
}

/* On an empty ring the driver makes a system call that lets the kernel poll the NIC. A veth has nothing to
 * poll, and the call costs more than the packet that came on the other port. */
static const char *busy_budget(const char *interface)
{
    struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
    bool veth = ask_ethtool(interface, &info) && strncmp(info.driver, "veth", sizeof(info.driver)) == 0;
    return veth ? ",busy_budget=0" : "";
}

static void device_arguments(const struct device *device, uint32_t workers, char out[DEVICE_ARGUMENTS_BYTES])
{
    const size_t n = DEVICE_ARGUMENTS_BYTES;
    uint32_t queues;
    switch (device->form->kind) {
    case DEVICE_AF_PACKET:
        snprintf(out, n, "iface=%s,qpairs=%" PRIu32 "%s", device->what, workers, device->more);
        break;
    case DEVICE_AF_XDP:
        queues = combined_channels(device->what);
        snprintf(out, n, "iface=%s,start_queue=0,queue_count=%" PRIu32 "%s%s", device->what,
                 RTE_MIN(workers, queues), busy_budget(device->what), device->more);
        break;
    case DEVICE_TAP:
        snprintf(out, n, "iface=%s%s", device->what, device->more);
        break;
    case DEVICE_MEMIF:
        snprintf(out, n, "%s", device->more);
        break;
    case DEVICE_PCAP:
        if (device->more[0] == '\0')
            snprintf(out, n, "rx_pcap=%s", device->what);
        else
            snprintf(out, n, "rx_pcap=%s,tx_pcap=%s", device->what, device->more + 1);
        break;
    default:
        out[0] = '\0';
        break;
    }
}

/* What would make a driver fail without saying why. */
static int device_check(const struct device *device, const char *port, struct port_error *error)
{
    enum device_kind kind = device->form->kind;
    if (kind == DEVICE_AF_PACKET || kind == DEVICE_AF_XDP) {
        if (if_nametoindex(device->what) == 0)
            return fail(error, ENODEV, EXIT_UNAVAILABLE,
                        "port \"%s\": there is no network interface %s here; check its name and the network "
                        "namespace",
                        port, device->what);
        int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
        if (fd < 0 && (errno == EPERM || errno == EACCES))
            return fail(error, EPERM, EXIT_PERMISSION,
                        "port \"%s\": not permitted to open %s; run as root or give CAP_NET_RAW and "
                        "CAP_NET_ADMIN",
                        port, device->what);
        if (fd >= 0)
            close(fd);
    }
    if (kind == DEVICE_TAP) {
        int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
        if (fd < 0)
            return fail(error, errno, errno == EACCES || errno == EPERM ? EXIT_PERMISSION : EXIT_UNAVAILABLE,
                        "port \"%s\": cannot open /dev/net/tun: %s", port, strerror(errno));
        close(fd);
    }
    return 0;
}

/* ---- the EAL ------------------------------------------------------------------------------------------- */

struct arguments {
    int n;
    char *list[ARGUMENTS_MAX + 1]; /* the EAL reorders it */
    char text[ARGUMENTS_MAX][ARGUMENT_BYTES];
};

__attribute__((format(printf, 2, 3))) static void add(struct arguments *arguments, const char *format, ...)
{
    if (arguments->n == ARGUMENTS_MAX)
        return;
    va_list list;
    va_start(list, format);
    vsnprintf(arguments->text[arguments->n], ARGUMENT_BYTES, format, list);
    va_end(list);
    arguments->list[arguments->n] = arguments->text[arguments->n];
    arguments->n++;
}

/* lcore 0 on the first core that we may use, workers on the others in turn. */
static void choose_cores(uint32_t workers, char out[ARGUMENT_BYTES])
{
    size_t cores[CPU_SETSIZE];
    uint32_t n = 0;
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0)
        for (size_t core = 0; core < CPU_SETSIZE; core++)
            if (CPU_ISSET(core, &allowed))
                cores[n++] = core;
    if (n == 0)
        cores[n++] = 0;
    size_t at = (size_t)snprintf(out, ARGUMENT_BYTES, "0@%zu", cores[0]);
    for (uint32_t i = 0; i < workers && at < ARGUMENT_BYTES - 24; i++)
        at += (size_t)snprintf(out + at, ARGUMENT_BYTES - at, ",%" PRIu32 "@%zu", i + 1,
                               n == 1 ? cores[0] : cores[1 + i % (n - 1)]);
}

static bool hugepages_free(void)
{
    static const char *const pools[] = {"/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages",
                                        "/sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages"};
    for (size_t i = 0; i < RTE_DIM(pools); i++) {
        FILE *file = fopen(pools[i], "re");
        unsigned long n = 0;
        if (file == NULL)
            continue;
        bool read = fscanf(file, "%lu", &n) == 1;
        fclose(file);
        if (read && n > 0)
            return true;
    }
    return false;
}

/* What libxdp and libbpf call a level; 0 is a warning. */
typedef int print_function(int level, const char *format, va_list arguments);

static int print_warning(int level, const char *format, va_list arguments)
{
    return level == 0 ? vfprintf(stderr, format, arguments) : 0;
}

/* The libraries of the af_xdp driver tell on stderr how they get along, unless told not to. They are there
 * only as the driver's own. */
static void quiet_xdp(void)
{
    static const char *const libraries[][2] = {{"libxdp.so.1", "libxdp_set_print"},
                                               {"libbpf.so.1", "libbpf_set_print"}};
    for (size_t i = 0; i < RTE_DIM(libraries); i++) {
        void *library = dlopen(libraries[i][0], RTLD_NOW | RTLD_NOLOAD);
        if (library == NULL)
            continue;
        void *symbol = dlsym(library, libraries[i][1]);
        print_function *(*set_print)(print_function *);
        memcpy(&set_print, &symbol, sizeof(set_print));
        if (symbol != NULL)
            set_print(print_warning);
        dlclose(library);
    }
}

static uint32_t mbufs_wanted(const struct port_eal_config *config)
{
    uint32_t queues = config->ports_n * RTE_MAX(config->workers, 1u);
    return rte_align32pow2(MBUFS_BASE + queues * 3 * DESCRIPTORS) - 1;
}

/* Enough for the packet buffers and everything beside them. */
static uint64_t memory_wanted(const struct port_eal_config *config)
{
    uint64_t buffers = (uint64_t)mbufs_wanted(config) * MBUF_BYTES;
    return config->memory_bytes != 0 ? config->memory_bytes : RTE_MAX(MEMORY_MIN_BYTES, 2 * buffers);
}

static int start_eal(const struct port_eal_config *config, const struct device *devices,
                     struct port_error *error)
{
    bool pci = false;
    for (uint32_t i = 0; i < config->ports_n; i++)
        pci |= devices[i].form->kind == DEVICE_PCI;
    bool huge = config->hugepages && hugepages_free();
    if (pci && config->hugepages && !huge)
        return fail(error, ENOMEM, EXIT_UNAVAILABLE,
                    "no hugepages are free, and PCI devices need them; run dpdk-hugepages.py --setup 1G");
    struct arguments *arguments = calloc(1, sizeof(*arguments));
    if (arguments == NULL)
        return fail(error, ENOMEM, 1, "out of memory");
    char cores[ARGUMENT_BYTES];
    choose_cores(config->workers, cores);
    add(arguments, "%s", config->program);
    add(arguments, "--file-prefix=sallyport-%ld", (long)getpid());
    add(arguments, "--lcores=%s", config->cores == NULL ? cores : config->cores);
    /* Telemetry warns that it has no legacy socket. Of later registrations the EAL lets the first match rule.
     */
    add(arguments, "--log-level=lib.telemetry:error");
    add(arguments, "--log-level=*:warning");
    if (huge) {
        add(arguments, "--in-memory");
    } else { /* the EAL refuses --in-memory together with --no-huge; this is what is left of it */
        add(arguments, "--no-shconf");
        add(arguments, "--no-huge");
        add(arguments, "-m");
        add(arguments, "%" PRIu64, RTE_MAX(memory_wanted(config) >> 20, 1u));
    }
    if (!pci)
        add(arguments, "--no-pci");
    for (uint32_t i = 0; i < config->ports_n; i++) {
        if (devices[i].form->kind == DEVICE_PCI) {
            add(arguments, "-a");
            add(arguments, "%s%s", devices[i].what, devices[i].more);
        }
    }
    for (uint32_t i = 0; i < config->extra_n; i++)
        add(arguments, "%s", config->extra[i]);
    int rc = rte_eal_init(arguments->n, arguments->list);
    free(arguments);
    if (rc >= 0) {
        quiet_xdp();
        return 0;
    }
    int reason = rte_errno == 0 ? EINVAL : rte_errno;
    return fail(error, reason, not_permitted(reason) ? EXIT_PERMISSION : EXIT_UNAVAILABLE,
                "DPDK does not start: %s; its own words are above", rte_strerror(reason));
}

/* ---- ports --------------------------------------------------------------------------------------------- */

static int set_up_queues(struct port *port)
{
    uint16_t rx = DESCRIPTORS;
    uint16_t tx = DESCRIPTORS;
    int rc = rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &rx, &tx);
    unsigned int node = (unsigned int)rte_eth_dev_socket_id(port->id); /* or SOCKET_ID_ANY */
    for (uint16_t q = 0; rc == 0 && q < port->queues; q++) {
        rc = rte_eth_rx_queue_setup(port->id, q, rx, node, NULL, port->mempool);
        if (rc == 0)
            rc = rte_eth_tx_queue_setup(port->id, q, tx, node, NULL);
    }
    return rc;
}

/* Configures and starts an ethdev whose id, name and mempool are set. */
static int open_ethdev(struct port *port, uint32_t workers, uint16_t mtu, bool offload)
{
    struct rte_eth_dev_info info;
    int rc = rte_eth_dev_info_get(port->id, &info);
    if (rc != 0)
        return rc;
    struct rte_eth_conf conf = {0};
    port->queues = (uint16_t)RTE_MIN(workers, (uint32_t)RTE_MIN(info.max_rx_queues, info.max_tx_queues));
    if (port->queues == 0)
        port->queues = 1;
    if (port->queues > 1 && (info.flow_type_rss_offloads & RTE_ETH_RSS_IP) != 0) {
        conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
        conf.rx_adv_conf.rss_conf.rss_hf = info.flow_type_rss_offloads & RTE_ETH_RSS_IP;
    }
    if (offload) {
        const uint64_t transmit = RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
        conf.rxmode.offloads = info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_CHECKSUM;
        if ((info.tx_offload_capa & transmit) == transmit) {
            conf.txmode.offloads = transmit;
            port->checksum_offload = true;
        }
    }
    rc = rte_eth_dev_configure(port->id, port->queues, port->queues, &conf);
    if (rc == 0 && mtu != 0) {
        rc = rte_eth_dev_set_mtu(port->id, mtu);
        rc = rc == -ENOTSUP ? 0 : rc;
    }
    if (rc == 0)
        rc = set_up_queues(port);
    if (rc == 0)
        rc = rte_eth_dev_start(port->id);
    if (rc != 0)
        return rc;
    uint16_t has = RTE_ETHER_MTU;
    if (rte_eth_dev_get_mtu(port->id, &has) != 0 || has > RTE_ETHER_MTU)
        has = RTE_ETHER_MTU;
    port->mtu = mtu == 0 || mtu > has ? has : mtu;
    rc = rte_eth_macaddr_get(port->id, &port->mac);
    if (rte_is_zero_ether_addr(&port->mac)) /* rings have none; this is locally administered */
        port->mac = (struct rte_ether_addr){{0x02, 0, 0, 0, 1, (uint8_t)port->id}};
    /* Other MACs' unicast is dropped by us; some devices need this for multicast, a few lack it. */
    if (rc == 0)
        rc = rte_eth_promiscuous_enable(port->id);
    return rc == -ENOTSUP ? 0 : rc;
}

static void close_ethdev(uint16_t id)
{
    rte_eth_dev_stop(id);
    rte_eth_dev_close(id);
}

static int open_port(const struct port_eal_config *config, uint32_t index, const struct device *device,
                     struct port *port, struct port_error *error)
{
    const struct port_config *wanted = &config->ports[index];
    *port = (struct port){.mempool = mempool};
    snprintf(port->name, sizeof(port->name), "%s", wanted->name);
    if (device->form->kind != DEVICE_PCI) {
        char arguments[DEVICE_ARGUMENTS_BYTES];
        device_arguments(device, config->workers, arguments);
        int rc = rte_eal_hotplug_add("vdev", device->ethdev, arguments);
        if (rc != 0)
            return fail(error, -rc, not_permitted(-rc) ? EXIT_PERMISSION : EXIT_UNAVAILABLE,
                        "port \"%s\": DPDK cannot make %s (%s); its own words are above", wanted->name,
                        device->ethdev, arguments);
    }
    if (rte_eth_dev_get_port_by_name(device->ethdev, &port->id) != 0)
        return fail(error, ENODEV, EXIT_UNAVAILABLE,
                    "port \"%s\": DPDK has not taken %s; bind it with dpdk-devbind.py -b vfio-pci %s",
                    wanted->name, wanted->device, device->what);
    int rc = open_ethdev(port, config->workers == 0 ? 1 : config->workers, wanted->mtu,
                         device->form->kind == DEVICE_PCI);
    if (rc == 0)
        return 0;
    close_ethdev(port->id);
    return fail(error, -rc, not_permitted(-rc) ? EXIT_PERMISSION : EXIT_UNAVAILABLE,
                "port \"%s\": cannot open %s: %s", wanted->name, wanted->device, rte_strerror(-rc));
}

static int make_mempool(const struct port_eal_config *config, struct port_error *error)
{
    uint32_t n = mbufs_wanted(config);
    mempool = rte_pktmbuf_pool_create("sallyport", n, MBUF_CACHE, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
                                      (int)rte_socket_id());
    if (mempool == NULL)
        return fail(error, rte_errno, EXIT_UNAVAILABLE,
                    "no memory for %" PRIu32 " packet buffers: %s; raise memory or reserve more hugepages", n,
                    rte_strerror(rte_errno));
    return 0;
}

int port_eal_start(const struct port_eal_config *config, struct port *ports, struct port_error *error)
{
    struct device devices[PORT_MAX];
    *error = (struct port_error){0};
    if (config->ports_n > PORT_MAX)
        return fail(error, EINVAL, 1, "more than %d ports", PORT_MAX);
    for (uint32_t i = 0; i < config->ports_n; i++) {
        int rc = device_parse(&devices[i], &config->ports[i], i, error);
        if (rc == 0)
            rc = device_check(&devices[i], config->ports[i].name, error);
        if (rc != 0)
            return rc;
    }
    int rc = start_eal(config, devices, error);
    if (rc != 0)
        return rc;
    rc = config->ports_n == 0 ? 0 : make_mempool(config, error);
    uint32_t opened = 0;
    while (rc == 0 && opened < config->ports_n) {
        rc = open_port(config, opened, &devices[opened], &ports[opened], error);
        opened += rc == 0;
    }
    if (rc != 0)
        port_eal_stop(ports, opened);
    return rc;
}

void port_eal_stop(struct port *ports, uint32_t ports_n)
{
    for (uint32_t i = 0; i < ports_n; i++)
        close_ethdev(ports[i].id);
    rte_mempool_free(mempool);
    mempool = NULL;
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/dpdk_telemetry.v2", rte_eal_get_runtime_dir());
    rte_eal_cleanup();
    if (n < 0 || (size_t)n >= sizeof(path))
        return;
    /* The directory is this process's own. Telemetry would remove its socket at exit, too late for it. */
    unlink(path);
    *strrchr(path, '/') = '\0';
    rmdir(path);
}

/* ---- rings --------------------------------------------------------------------------------------------- */

static int open_ring(const char *name, const char *end, struct rte_ring *in, struct rte_ring *out,
                     struct rte_mempool *pool, uint8_t last, struct port *port)
{
    *port = (struct port){.mempool = pool};
    snprintf(port->name, sizeof(port->name), "%s%s", name, end);
    int id = rte_eth_from_rings(port->name, &in, 1, &out, 1, rte_socket_id());
    if (id < 0)
        return -rte_errno;
    port->id = (uint16_t)id;
    int rc = open_ethdev(port, 1, 0, false);
    if (rc != 0)
        close_ethdev(port->id);
    port->mac = (struct rte_ether_addr){{0x02, 0, 0, 0, 0, last}};
    return rc;
}

int port_ring_pair(const char *name, uint32_t slots, struct rte_mempool *pool, struct port *a, struct port *b)
{
    char ring_name[2][RTE_RING_NAMESIZE];
    snprintf(ring_name[0], sizeof(ring_name[0]), "%.20s>", name);
    snprintf(ring_name[1], sizeof(ring_name[1]), "%.20s<", name);
    const unsigned int flags = RING_F_SP_ENQ | RING_F_SC_DEQ;
    struct rte_ring *forth = rte_ring_create(ring_name[0], slots, (int)rte_socket_id(), flags);
    struct rte_ring *back = rte_ring_create(ring_name[1], slots, (int)rte_socket_id(), flags);
    int rc = forth == NULL || back == NULL ? -rte_errno : 0;
    if (rc == 0)
        rc = open_ring(name, "_a", back, forth, pool, 0x0a, a);
    if (rc == 0) {
        rc = open_ring(name, "_b", forth, back, pool, 0x0b, b);
        if (rc != 0)
            close_ethdev(a->id);
    }
    if (rc != 0) {
        rte_ring_free(forth);
        rte_ring_free(back);
    }
    return rc;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/scenario/world.h"

#include "dataplane/net/transport.h"
#include "tests/scenario/cloud.h"

#include <netinet/in.h>
#include <rte_launch.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEPT 4096
#define MBUFS 32767
#define RING_SLOTS 4096

struct world_device {
    struct stream *stream; /* NULL: closed */
    struct world *world;
    bool opened;
    bool deaf;
    uint64_t total;
    uint32_t kept;
    uint8_t bytes[KEPT];
};

/* A peer: one IP stack and one TCP endpoint at the far end of a port. */
struct peer {
    struct world *world;
    struct port *wire;
    struct ip_stack *stack;
    struct tcp_endpoint *tcp;
    struct timer_wheel *timers;
    struct chunk_pool *chunks;
    bool serves;
};

struct world {
    struct world_settings settings;
    char folder[64];
    uint64_t now_us;
    uint64_t tsc_base, tsc_per_us_q16;
    struct rte_mempool *mempool;
    unsigned int mbufs_at_start;
    struct port ports[2]; /* the gateway's */
    struct port wires[2]; /* the peers' */
    struct peer devices, servers;
    struct worker_shared shared;
    struct generation *generation;
    uint64_t reload_busy;
    struct worker *worker;
    struct cloud *cloud;
    struct world_device **list;
    uint32_t list_n;
};

static const uint8_t world_secret[32] = {9, 8, 7, 6, 5, 4, 3, 2, 1};

static const char world_policy[] = "roles = ( { name = \"any\"; match = { listener = \"mqtt\"; client_id = "
                                   "\"*\"; }; max_qos = 2; inflight = 1000;\n"
                                   "  limits = { packet = \"64MiB\"; };\n"
                                   "  rules = ( { id = \"any.all\"; allow = [ \"publish\", \"subscribe\" ]; "
                                   "topic = \"t/#\"; retain = true; will = true; } ); } );\n";

/* ---- peers
 * ------------------------------------------------------------------------------------------------- */

static bool peer_claims(void *owner, uint16_t interface, uint8_t protocol,
                        const struct ip_address *destination, uint16_t port, const struct ip_packet *packet)
{
    (void)owner;
    (void)interface;
    (void)destination;
    (void)port;
    (void)packet;
    return protocol == IPPROTO_TCP;
}

static void peer_tcp(void *owner, const struct ip_packet *packets, uint32_t n, uint64_t now_us)
{
    struct peer *peer = owner;
    uint64_t bad = 0;
    transport_tcp_input(peer->tcp, packets, n, now_us, &bad);
}

static void peer_udp(void *owner, const struct ip_packet *packets, uint32_t n, uint64_t now_us)
{
    (void)owner;
    (void)packets;
    (void)n;
    (void)now_us;
}

static void peer_unreachable(void *owner, const struct flow_key *key, const uint8_t *quoted,
                             size_t quoted_len, uint16_t next_mtu, uint64_t now_us)
{
    (void)owner;
    (void)key;
    (void)quoted;
    (void)quoted_len;
    (void)next_mtu;
    (void)now_us;
}

static const struct ip_stack_handler peer_stack_handler = {
    .claims = peer_claims, .tcp = peer_tcp, .udp = peer_udp, .unreachable = peer_unreachable};

static void peer_emit(void *owner, const struct tcp_segment_out *segment)
{
    struct peer *peer = owner;
    transport_tcp_emit(peer->stack, segment, peer->world->now_us);
}

static enum tcp_admission peer_admit(void *owner, const struct flow_key *key, uint32_t path)
{
    const struct peer *peer = owner;
    (void)key;
    (void)path;
    return peer->serves ? TCP_ADMIT_YES : TCP_ADMIT_RESET;
}

static void peer_accepted(void *owner, const struct flow_key *key, uint32_t path, struct stream *stream)
{
    struct peer *peer = owner;
    (void)key;
    (void)path;
    cloud_accept(peer->world->cloud, stream);
}

static uint16_t peer_mss(void *owner, const struct flow_key *key, uint32_t path)
{
    const struct peer *peer = owner;
    return transport_tcp_mss(peer->stack, key, path);
}

static const struct tcp_host peer_host = {
    .emit = peer_emit, .admit = peer_admit, .accepted = peer_accepted, .mss = peer_mss};

static struct ip_prefix prefix(const char *address, uint8_t bits)
{
    struct ip_prefix p = {.bits = bits};
    if (!ip_address_parse(address, &p.address))
        abort();
    return p;
}

static bool peer_create(struct world *world, struct peer *peer, uint32_t side)
{
    struct tcp_limits limits;
    struct ip_stack_config config = {.ports = &world->wires[side], .ports_n = 1, .interfaces_n = 1};
    struct ip_interface_config *interface = &config.interfaces[0];
    *interface = (struct ip_interface_config){.name = "peer", .vlan = side == 0 ? 20 : 0};
    char text[32];
    for (uint32_t i = 0; i < (side == 0 ? WORLD_SOURCES : 1u); i++) {
        snprintf(text, sizeof(text), side == 0 ? "10.20.0.%u" : "10.30.0.2", 10 + i);
        interface->addresses[interface->addresses_n++] = prefix(text, side == 0 ? 118 : 120);
    }
    struct ip_route_config route = {.destination = prefix("0.0.0.0", 96)};
    route.next_hop = prefix(side == 0 ? "10.20.0.1" : "10.30.0.1", 128).address;
    config.routes = &route;
    config.routes_n = 1;
    peer->world = world;
    peer->wire = &world->wires[side];
    peer->serves = side == 1;
    peer->timers = timer_wheel_create(world->now_us);
    peer->chunks = chunk_pool_create(65536);
    tcp_limits_default(&limits, world->settings.connections + 1024);
    limits.half_open = world->settings.connections + 1024;
    limits.keepalive_idle_us = 0;
    peer->stack = ip_stack_create(&config, &peer_stack_handler, peer, world_secret, world->now_us);
    if (peer->timers == NULL || peer->chunks == NULL || peer->stack == NULL)
        return false;
    peer->tcp = tcp_create(&limits, &peer_host, peer, peer->chunks, peer->timers, world_secret);
    return peer->tcp != NULL;
}

static void peer_destroy(struct peer *peer)
{
    if (peer->tcp != NULL)
        tcp_destroy(peer->tcp);
    if (peer->stack != NULL)
        ip_stack_destroy(peer->stack);
    chunk_pool_destroy(peer->chunks);
    timer_wheel_destroy(peer->timers);
}

static uint32_t peer_turn(struct peer *peer)
{
    struct rte_mbuf *burst[PORT_BURST];
    uint32_t total = 0;
    uint16_t n;
    do {
        n = port_receive(peer->wire, 0, burst, PORT_BURST);
        if (n > 0)
            ip_stack_input(peer->stack, 0, burst, n, peer->world->now_us);
        total += n;
    } while (n == PORT_BURST);
    timer_wheel_advance(peer->timers, peer->world->now_us, 100000);
    ip_stack_advance(peer->stack, peer->world->now_us);
    if (peer->serves)
        cloud_flush(peer->world->cloud);
    tcp_flush(peer->tcp, peer->world->now_us);
    ip_stack_flush(peer->stack);
    return total;
}

/* ---- devices
 * ------------------------------------------------------------------------------------------------- */

static void device_opened(void *owner)
{
    struct world_device *device = owner;
    device->opened = true;
}

static size_t device_data(void *owner, const uint8_t *p, size_t n)
{
    struct world_device *device = owner;
    if (device->deaf)
        return 0;
    size_t room = KEPT - device->kept;
    size_t kept = n < room ? n : room;
    memcpy(device->bytes + device->kept, p, kept);
    device->kept += (uint32_t)kept;
    device->total += n;
    return n;
}

static void device_writable(void *owner)
{
    (void)owner;
}

static void device_ended(void *owner)
{
    struct world_device *device = owner;
    stream_finish(device->stream);
}

static void device_closed(void *owner, enum stream_end why)
{
    struct world_device *device = owner;
    (void)why;
    device->stream = NULL;
}

static const struct stream_handler device_handler = {device_opened, device_data, device_writable,
                                                     device_ended, device_closed};

struct world_device *world_connect(struct world *world, uint32_t source)
{
    static uint16_t next_port = 1024;
    struct world_device **list = realloc(world->list, (world->list_n + 1) * sizeof(*list));
    struct world_device *device = calloc(1, sizeof(*device));
    if (list == NULL || device == NULL)
        abort();
    world->list = list;
    list[world->list_n++] = device;
    struct flow_key key = {.protocol = IPPROTO_TCP, .remote_port = 1883};
    key.local = ip_address_v4(0x0a14000a + source % WORLD_SOURCES);
    key.remote = prefix("203.0.113.7", 128).address;
    do {
        next_port = next_port == 65535 ? 1024 : (uint16_t)(next_port + 1);
        key.local_port = next_port;
    } while (tcp_flow_exists(world->devices.tcp, &key));
    uint32_t path = ip_stack_path(world->devices.stack, &key.remote);
    device->world = world;
    device->stream = tcp_connect(world->devices.tcp, &key, path, &device_handler, device, world->now_us);
    return device;
}

void world_send(struct world_device *device, const void *bytes, size_t n)
{
    if (device->stream == NULL)
        return;
    stream_write(device->stream, bytes, n);
    tcp_flush(device->world->devices.tcp, device->world->now_us);
}

bool world_login(struct world *world, struct world_device *device, const char *client_id, uint8_t version)
{
    uint8_t packet[128];
    size_t id = strlen(client_id);
    size_t n = 0;
    for (int i = 0; i < 1000 && !device->opened && device->stream != NULL; i++)
        world_turn(world, 10);
    packet[n++] = 0x10;
    packet[n++] = (uint8_t)(12 + id + (version == 5));
    memcpy(packet + n, "\0\4MQTT", 6);
    n += 6;
    packet[n++] = version;
    packet[n++] = 2;
    packet[n++] = 0;
    packet[n++] = 60;
    if (version == 5)
        packet[n++] = 0;
    packet[n++] = 0;
    packet[n++] = (uint8_t)id;
    memcpy(packet + n, client_id, id);
    uint64_t before = device->total;
    world_send(device, packet, n + id);
    for (int i = 0; i < 2000 && device->total < before + 4 && device->stream != NULL; i++)
        world_turn(world, 10);
    return device->total >= before + 4;
}

size_t world_received(struct world_device *device, uint8_t *to, size_t room)
{
    size_t n = device->kept < room ? device->kept : room;
    memcpy(to, device->bytes, n);
    device->kept = 0;
    return n;
}

uint64_t world_received_total(const struct world_device *device)
{
    return device->total;
}

bool world_open(const struct world_device *device)
{
    return device->stream != NULL && device->opened;
}

void world_hang_up(struct world_device *device, bool reset)
{
    if (device->stream == NULL)
        return;
    if (!reset) {
        stream_finish(device->stream);
        return;
    }
    stream_abort(device->stream);
    device->stream = NULL;
}

void world_deafen(struct world_device *device, bool deaf)
{
    device->deaf = deaf;
    if (!deaf && device->stream != NULL)
        stream_resume(device->stream);
}

/* ---- the gateway
 * ----------------------------------------------------------------------------------------------- */

static bool write_file(const char *folder, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *out = fopen(path, "w");
    return out != NULL && fputs(text, out) >= 0 && fclose(out) == 0;
}

static bool write_files(struct world *world)
{
    char text[4096];
    char path[96];
    snprintf(world->folder, sizeof(world->folder), "/tmp/sallyport-world-XXXXXX");
    if (mkdtemp(world->folder) == NULL || (world->settings.tls && !cloud_make_pki(world->folder)))
        return false;
    snprintf(path, sizeof(path), "%s/policy.d", world->folder);
    if (mkdir(path, 0700) != 0)
        return false;
    snprintf(
        text, sizeof(text),
        "schema = 1;\ngateway = { name = \"world\"; };\n"
        "dataplane = { workers = 1; limits = { connections = %u; }; ports = (\n"
        "  { name = \"iot\"; device = \"ring:iot\"; vlan = 20; address = [ \"10.20.0.1/22\" ]; },\n"
        "  { name = \"wan\"; device = \"ring:wan\"; address = [ \"10.30.0.1/24\", \"10.30.0.11/24\", "
        "\"10.30.0.12/24\" ]; },\n"
        "  { name = \"other\"; device = \"ring:iot\"; vlan = 30; address = [ \"10.40.0.1/24\" ]; } ); };\n"
        "listeners = ( { name = \"mqtt\"; port = \"iot\"; protocol = \"mqtt\"; security = \"none\"; listen = "
        "\"any:1883\"; "
        "upstream = \"broker\"; limits = { connects = \"1000000/s burst 1000000\"; }; } );\n"
        "upstreams = ( { name = \"broker\"; protocol = \"mqtt\"; servers = [ \"10.30.0.2:8883\" ]; %s } );\n"
        "control = { socket = \"%s/control.sock\"; };\n",
        world->settings.connections,
        world->settings.tls ? "security = \"tls\"; server_name = \"broker.cloud.example\"; ca = \"ca.pem\"; "
                              "certificate = \"device.pem\"; key = \"device.key\";"
                            : "security = \"none\";",
        world->folder);
    return write_file(world->folder, "sallyport.conf", text) &&
           write_file(world->folder, "policy.d/10.conf",
                      world->settings.policy == NULL ? world_policy : world->settings.policy);
}

static struct generation *load(struct world *world, uint32_t number)
{
    char config[128];
    char policy[128];
    char line[512];
    snprintf(config, sizeof(config), "%s/sallyport.conf", world->folder);
    snprintf(policy, sizeof(policy), "%s/policy.d", world->folder);
    struct diagnostics *d = diagnostics_create();
    struct generation *generation = generation_load(config, policy, number, world->generation, d);
    for (size_t i = 0; generation == NULL && i < diagnostics_count(d); i++) {
        diagnostic_format(diagnostics_at(d, i), line, sizeof(line));
        fprintf(stderr, "%s\n", line);
    }
    diagnostics_destroy(d);
    return generation;
}

bool world_reload(struct world *world, const char *policy)
{
    if (!write_file(world->folder, "policy.d/10.conf", policy))
        return false;
    struct generation *next = load(world, world->generation->number + 1);
    if (next == NULL)
        return false;
    struct generation *old = world->generation;
    world->generation = next;
    atomic_store(&world->shared.generation, next);
    world->reload_busy = world_turn(world, 10); /* the worker takes it up; nobody else holds the old one */
    generation_destroy(old);
    return true;
}

bool world_reload_in_place(struct world *world, const char *policy)
{
    if (!write_file(world->folder, "policy.d/10.conf", policy))
        return false;
    struct generation *next = load(world, world->generation->number + 1);
    if (next == NULL)
        return false;
    struct generation old = *world->generation;
    *world->generation = *next;
    *next = old;
    generation_destroy(next);
    world_turn(world, 10);
    return true;
}

const struct generation *world_generation(const struct world *world)
{
    return world->generation;
}

uint64_t world_reload_busy(const struct world *world)
{
    return world->reload_busy;
}

static bool gateway_create(struct world *world)
{
    size_t size = rte_rcu_qsbr_get_memsize(WORKERS_MAX);
    world->generation = load(world, 1);
    world->shared.rcu = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(size, RTE_CACHE_LINE_SIZE));
    if (world->generation == NULL || world->shared.rcu == NULL ||
        rte_rcu_qsbr_init(world->shared.rcu, WORKERS_MAX) != 0)
        return false;
    rte_rcu_qsbr_thread_register(world->shared.rcu, 0);
    rte_rcu_qsbr_thread_online(world->shared.rcu, 0);
    world->shared.ports = world->ports;
    world->shared.ports_n = 2;
    world->shared.workers = 1;
    atomic_store(&world->shared.generation, world->generation);
    world->worker = worker_create(&world->shared, 0);
    return world->worker != NULL;
}

/* ---- time and turns
 * ---------------------------------------------------------------------------------------------- */

/* The worker's clock runs on time-stamp counts: the ones it would read if our time were real. */
static uint64_t tsc_of(const struct world *world)
{
    return world->tsc_base + ((world->now_us * world->tsc_per_us_q16) >> 16);
}

uint64_t world_turn(struct world *world, uint64_t step_us)
{
    world->now_us += step_us;
    uint64_t busy = 0;
    uint64_t begun = rte_rdtsc_precise();
    if (worker_iterate(world->worker, tsc_of(world)))
        busy = rte_rdtsc_precise() - begun;
    peer_turn(&world->servers);
    peer_turn(&world->devices);
    return busy;
}

void world_settle(struct world *world, uint32_t most)
{
    uint32_t quiet = 0;
    for (uint32_t i = 0; i < most && quiet < 3; i++) {
        world->now_us += 100;
        uint32_t moved = worker_iterate(world->worker, tsc_of(world)) ? 1 : 0;
        moved += peer_turn(&world->servers);
        moved += peer_turn(&world->devices);
        quiet = moved == 0 ? quiet + 1 : 0;
    }
}

uint64_t world_now_us(const struct world *world)
{
    return world->now_us;
}

struct worker *world_worker(struct world *world)
{
    return world->worker;
}

const struct world_cloud *world_cloud(const struct world *world)
{
    return cloud_seen(world->cloud);
}

bool world_cloud_send(struct world *world, uint32_t index, const void *bytes, size_t n)
{
    return cloud_send(world->cloud, index, bytes, n);
}

void world_cloud_behave(struct world *world, bool silent, bool deaf)
{
    cloud_behave(world->cloud, silent, deaf);
}

bool world_cloud_send_raw(struct world *world, const void *bytes, size_t n)
{
    return cloud_send_raw(world->cloud, bytes, n);
}

void world_cloud_hang_up(struct world *world, bool reset)
{
    cloud_hang_up(world->cloud, reset);
}

void world_stray(struct world_device *device, uint16_t vlan)
{
    const struct flow_key *key = tcp_stream_key(device->stream);
    uint32_t from = ip_address_to_v4(&key->local), to = ip_address_to_v4(&key->remote), sum = 0;
    uint8_t frame[58] = {
        [6] = 2, [11] = 0x99, [12] = 0x81, [14] = (uint8_t)(vlan >> 8), [15] = (uint8_t)vlan, [16] = 8};
    uint8_t *ip = frame + 18, *tcp = ip + 20;
    memcpy(frame, device->world->ports[0].mac.addr_bytes, 6);
    ip[0] = 0x45;
    ip[3] = 40;
    ip[8] = 64;
    ip[9] = IPPROTO_TCP;
    for (int i = 0; i < 4; i++) {
        ip[12 + i] = (uint8_t)(from >> (24 - 8 * i));
        ip[16 + i] = (uint8_t)(to >> (24 - 8 * i));
    }
    for (int i = 0; i < 20; i += 2)
        sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
    sum = (sum & 0xffff) + (sum >> 16);
    ip[10] = (uint8_t)(~sum >> 8);
    ip[11] = (uint8_t)~sum;
    tcp[0] = (uint8_t)(key->local_port >> 8);
    tcp[1] = (uint8_t)key->local_port;
    tcp[2] = (uint8_t)(key->remote_port >> 8);
    tcp[3] = (uint8_t)key->remote_port;
    tcp[12] = 0x50;
    tcp[13] = TCP_RST;
    world_inject(device->world, 0, frame, sizeof(frame));
}

void world_inject(struct world *world, uint32_t side, const void *frame, size_t n)
{
    struct rte_mbuf *mbuf = rte_pktmbuf_alloc(world->mempool);
    char *at = mbuf == NULL ? NULL : rte_pktmbuf_append(mbuf, (uint16_t)n);
    if (at == NULL)
        abort();
    memcpy(at, frame, n);
    if (port_transmit(&world->wires[side], 0, &mbuf, 1) == 0)
        rte_pktmbuf_free(mbuf);
}

/* ---- birth and death
 * ----------------------------------------------------------------------------------------------- */

struct world *world_create(const struct world_settings *settings)
{
    struct port_eal_config eal = {.program = "world", .memory_bytes = 256u << 20};
    struct port_error error = {.text = ""};
    struct world *world = calloc(1, sizeof(*world));
    if (world == NULL || tls_library_init() != 0)
        return NULL;
    world->settings = *settings;
    world->now_us = 20000000;
    if (port_eal_start(&eal, NULL, &error) != 0) {
        fprintf(stderr, "%s\n", error.text);
        return NULL;
    }
    world->tsc_base = rte_rdtsc();
    world->tsc_per_us_q16 = (rte_get_tsc_hz() << 16) / 1000000;
    world->mempool =
        rte_pktmbuf_pool_create("world", MBUFS, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
    if (world->mempool == NULL ||
        port_ring_pair("iot", RING_SLOTS, world->mempool, &world->ports[0], &world->wires[0]) != 0 ||
        port_ring_pair("wan", RING_SLOTS, world->mempool, &world->ports[1], &world->wires[1]) != 0) {
        fprintf(stderr, "world: no rings\n");
        return NULL;
    }
    world->mbufs_at_start = rte_mempool_avail_count(world->mempool);
    if (!write_files(world) || !gateway_create(world))
        return NULL;
    world->cloud = cloud_create(world->settings.tls ? world->folder : NULL, settings->quiet_cloud);
    if (world->cloud == NULL || !peer_create(world, &world->devices, 0) ||
        !peer_create(world, &world->servers, 1)) {
        fprintf(stderr, "world: no peers\n");
        return NULL;
    }
    return world;
}

/* What the worker still holds after all devices have gone. */
static uint32_t left_over(struct world *world)
{
    struct worker_stats stats;
    struct worker_request request = {.kind = WORKER_STATS, .stats = &stats};
    atomic_store(&request.done, false);
    worker_post(world->worker, &request);
    world_turn(world, 10);
    uint32_t left = stats.sessions + stats.tls_sessions + (stats.chunks - stats.chunks_free);
    if (left != 0)
        fprintf(stderr, "world: left over: %u sessions, %u TLS sessions, %u chunks\n", stats.sessions,
                stats.tls_sessions, stats.chunks - stats.chunks_free);
    return left;
}

uint32_t world_destroy(struct world *world)
{
    char command[128];
    for (uint32_t i = 0; i < world->list_n; i++)
        world_hang_up(world->list[i], true);
    for (uint32_t i = 0; i < 4000; i++)
        world_turn(world, 30000);
    uint32_t left = left_over(world);
    peer_destroy(&world->devices);
    cloud_destroy(world->cloud);
    peer_destroy(&world->servers);
    worker_destroy(world->worker);
    generation_destroy(world->generation);
    struct rte_mbuf *burst[PORT_BURST];
    for (int side = 0; side < 2; side++) {
        uint16_t n;
        while ((n = port_receive(&world->wires[side], 0, burst, PORT_BURST)) > 0)
            rte_pktmbuf_free_bulk(burst, n);
        while ((n = port_receive(&world->ports[side], 0, burst, PORT_BURST)) > 0)
            rte_pktmbuf_free_bulk(burst, n);
    }
    unsigned int mbufs = rte_mempool_avail_count(world->mempool);
    if (mbufs != world->mbufs_at_start)
        fprintf(stderr, "world: %u packet buffers are missing\n", world->mbufs_at_start - mbufs);
    left += world->mbufs_at_start - mbufs;
    for (uint32_t i = 0; i < world->list_n; i++)
        free(world->list[i]);
    free(world->list);
    free(world->shared.rcu);
    snprintf(command, sizeof(command), "rm -rf '%s'", world->folder);
    if (system(command) != 0)
        fprintf(stderr, "world: %s stays\n", world->folder);
    free(world);
    tls_library_fini();
    return left;
}

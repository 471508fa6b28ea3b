// SPDX-License-Identifier: GPL-2.0-or-later
// Aedes as a broker that lets everybody in, and says one JSON line for each thing that it sees.
// node aedes_broker.js HOST PORT
const aedes = require('aedes')();
const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

aedes.on('client', (client) => say({ event: 'client', id: client.id, version: client.version }));
aedes.on('clientDisconnect', (client) => say({ event: 'gone', id: client.id }));
aedes.on('subscribe', (filters, client) => say({ event: 'subscribe', id: client.id, filters: filters.map((filter) => [filter.topic, filter.qos]) }));
aedes.on('publish', (packet, client) => {
  if (client !== null || packet.topic.startsWith('t/')) // Wills come from nobody
    say({ event: 'publish', id: client && client.id, topic: packet.topic, qos: packet.qos, retain: packet.retain, bytes: packet.payload.length });
});
require('net').createServer(aedes.handle).listen(Number(process.argv[3]), process.argv[2], () => say({ event: 'ready' }));

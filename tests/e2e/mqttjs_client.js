// SPDX-License-Identifier: GPL-2.0-or-later
// One session of MQTT.js as an application would have it; prints what it noticed as one JSON line.
// node mqttjs_client.js HOST VERSION CLIENT_ID
const mqtt = require('mqtt');

const [host, version, clientId] = [process.argv[2], Number(process.argv[3]), process.argv[4]];
const noticed = { errors: [] };
const five = version === 5;
const client = mqtt.connect({
  host, port: 1883, protocolVersion: version, protocolId: version === 3 ? 'MQIsdp' : 'MQTT', clientId, clean: true, reconnectPeriod: 0,
  connectTimeout: 10000, keepalive: 30, ...(five ? { properties: { receiveMaximum: 50, requestProblemInformation: true } } : {}),
});
const wanted = 5; // messages that come back
const messages = [];

function finish() {
  client.end(false, () => {
    noticed.messages = messages.sort();
    console.log(JSON.stringify(noticed));
    process.exit(0);
  });
}

client.on('connect', (packet) => {
  noticed.connack = five ? packet.reasonCode : packet.returnCode;
  client.subscribe({ 't/echo/+': { qos: 2 }, 'not/allowed': { qos: 1 } }, (error, granted) => {
    noticed.granted = granted === undefined ? String(error) : granted.map((grant) => [grant.topic, grant.qos]);
    for (const qos of [0, 1, 2])
      client.publish(`t/echo/${qos}`, `with QoS ${qos}`, { qos, ...(five ? { properties: { userProperties: { key: 'value' }, contentType: 'text' } } : {}) },
        (failed) => { if (failed) noticed.errors.push(String(failed)); });
    client.publish('t/echo/umlaut-ü', 'grüße', { qos: 1, ...(five ? { properties: { payloadFormatIndicator: true } } : {}) });
    client.publish('t/echo/large', 'x'.repeat(100000), { qos: 2 });
    client.publish('not/allowed', 'never', { qos: 1 }, (failed) => {
      // A refusal is told twice, the second time as if it were none.
      if (noticed.denied === undefined)
        noticed.denied = failed ? failed.code : 0;
    });
  });
});
client.on('message', (topic, payload, packet) => {
  const properties = five && packet.properties ? packet.properties : {};
  messages.push([topic, packet.qos, payload.length, properties.userProperties ? properties.userProperties.key : '', properties.contentType || ''].join('|'));
  if (messages.length === wanted)
    setTimeout(finish, 300);
});
client.on('error', (error) => { noticed.errors.push(String(error)); });
setTimeout(finish, 8000).unref();

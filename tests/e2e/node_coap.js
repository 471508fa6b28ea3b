// SPDX-License-Identifier: GPL-2.0-or-later
// node-coap as a device and as a server, for 63-coap-node.
//
//   node_coap.js serve ADDRESS PORT           /value (GET, PUT), /clock (GET, observed: a number more every 200 ms), /bulk, /many (GET: 5,000 bytes; PUT)
//   node_coap.js ask METHOD URL [BODY|-] [BLOCK]   prints the code and the payload; BODY "@N" is N bytes of digits; BLOCK: exponent of Block1 or 2
//   node_coap.js watch URL N                  prints N notifications
'use strict'
const path = require('path')
const coap = require(path.join(__dirname, '../../build/peers/node_modules/coap'))
const digits = (n) => Array.from({ length: Math.ceil(n / 5) }, (_, i) => String(i).padStart(5, '0')).join('').slice(0, n)
const [what, ...rest] = process.argv.slice(2)

function serve (address, port) {
  const kept = { '/value': Buffer.from('first'), '/bulk': Buffer.from(digits(5000)), '/many': Buffer.from(digits(5000)) }
  coap.createServer((req, res) => {
    if (req.url === '/clock' && req.headers.Observe === 0) {
      let n = 0
      res.write('tick-' + n)
      const timer = setInterval(() => res.write('tick-' + ++n), 200)
      res.on('finish', () => clearInterval(timer))
    } else if (req.method === 'PUT' && req.url in kept) {
      kept[req.url] = req.payload
      res.code = '2.04'
      res.end()
    } else if (req.method === 'GET' && (req.url in kept || req.url === '/clock')) {
      res.end(kept[req.url] || 'tick')
    } else {
      res.code = '4.04'
      res.end()
    }
  }).listen(Number(port), address, () => console.log('ready'))
}

function ask (method, url, body, block) {
  const req = coap.request({ ...target(url), method })
  if (block !== undefined) req.setOption(method === 'GET' ? 'Block2' : 'Block1', Buffer.of(Number(block)))
  req.on('response', (res) => {
    console.log(res.code, res.payload.toString())
    process.exit(0)
  })
  req.on('error', (error) => { console.log('error', error.message); process.exit(1) })
  req.end(body === undefined || body === '-' ? undefined : body.startsWith('@') ? digits(Number(body.slice(1))) : body)
}

function watch (url, n) {
  const req = coap.request({ ...target(url), observe: true })
  let seen = 0
  req.on('response', (res) => res.on('data', (chunk) => {
    console.log(chunk.toString())
    if (++seen === Number(n)) { res.close(true); setTimeout(() => process.exit(0), 300) }
  }))
  req.on('error', (error) => { console.log('error', error.message); process.exit(1) })
  req.end()
}

function target (url) {
  const at = new URL(url)
  return { hostname: at.hostname, port: at.port || 5683, pathname: at.pathname }
}

setTimeout(() => process.exit(2), what === 'serve' ? 120000 : 20000).unref()
;({ serve, ask, watch })[what](...rest)

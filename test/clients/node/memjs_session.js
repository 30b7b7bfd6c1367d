'use strict';
// A session of memjs with a server that nobody else uses: binary protocol, SASL.
//
// usage: node memjs_session.js HOST PORT [USER PASSWORD] [--tls CA]
//
// With a user the server is one that asks for authentication. With --tls the
// connection is encrypted, and the file CA says whom to trust. Exits with 0 if every
// answer was right, otherwise with what was not.

const fs = require('node:fs');
const net = require('node:net');
const tls = require('node:tls');
const memjs = require('memjs');
const { equal, rejects, session } = require('./expect');

const TIMEOUT = 600; // seconds, for one answer
const PAST = 60 * 60 * 24 * 30 + 1; // a Unix time of 1970
const parameters = process.argv.slice(2);
const tlsAt = parameters.indexOf('--tls');
if (tlsAt >= 0) encrypt(parameters.splice(tlsAt)[1]);
const [host, port, username, password] = parameters;
const address = `${host}:${port}`;

// encrypt makes memjs, which has no TLS of its own, connect over Node's.
function encrypt(file) {
  const ca = fs.readFileSync(file);
  net.connect = (to, at, connected) => tls.connect({ port: to, host: at, ca }, connected);
}

function connect(name, word, options = {}) {
  const silent = { log() {} }; // errors come to the caller too
  return memjs.Client.create(address, { username: name, password: word, timeout: TIMEOUT, retries: 1, logger: silent, ...options });
}

const client = connect(username, password);

async function value(key) {
  const got = await client.get(key);
  return got.value === null ? null : got.value.toString();
}

async function store() {
  equal(await value('none'), null);
  equal(await client.set('k', 'v'), true);
  equal(await value('k'), 'v');
  equal(await client.add('k', 'v'), false);
  equal(await client.add('new', 'v'), true);
  equal(await client.replace('none', 'v'), false);
  equal(await client.replace('k', 'ab'), true);
  equal(await client.append('k', 'c'), true);
  await rejects(client.append('none', 'c'), 'APPEND');
  equal(await value('k'), 'abc');
  equal(await client.delete('k'), true);
  equal(await client.delete('k'), false);
  equal(await client.set('empty', ''), true);
  equal(await value('empty'), '');
  const bytes = Buffer.from([0, 255, 13, 10, 128]);
  equal(await client.set('bytes', bytes), true);
  equal((await client.get('bytes')).value, bytes);
}

// What a serializer puts into the flags comes back.
async function serialised() {
  const serializer = {
    serialize: (opcode, object, extras) => {
      extras.writeUInt32BE(0xcafe, 0);
      return { value: JSON.stringify(object), extras };
    },
    deserialize: (opcode, text, extras) => ({ value: JSON.parse(text), extras }),
  };
  const c = connect(username, password, { serializer });
  const object = { list: [1, 2.5, null], text: 't\u00e4xt' };
  equal(await c.set('object', object), true);
  const got = await c.get('object');
  equal(got.value, object);
  equal(got.flags.readUInt32BE(0), 0xcafe);
  c.close();
}

async function numbers() {
  equal(await client.increment('n', 5, { initial: 10 }), { success: true, value: 10 });
  equal(await client.increment('n', 5), { success: true, value: 15 });
  equal(await client.decrement('n', 1, {}), { success: true, value: 14 });
  equal(await client.decrement('n', 100, {}), { success: true, value: 0 });
  equal(await client.set('word', 'word'), true);
  await rejects(client.increment('word', 1), 'INCREMENT');
}

async function pipelined() {
  const keys = Array.from({ length: 1000 }, (_, i) => `pipelined-${i}`);
  const stored = await Promise.all(keys.map((key) => client.set(key, `value of ${key}`)));
  equal(stored.every(Boolean), true);
  const values = await Promise.all(keys.map(value));
  equal(values, keys.map((key) => `value of ${key}`));
}

async function expiry() {
  equal(await client.set('gone', 'v', { expires: PAST }), true);
  equal(await value('gone'), null);
  equal(await client.set('stays', 'v', { expires: 1000 }), true);
  equal(await client.touch('stays', 2000), true);
  equal(await client.touch('none', 2000), false);
  equal(await value('stays'), 'v');
  equal(await client.touch('stays', PAST), true);
  equal(await value('stays'), null);
}

async function sizes() {
  const large = Buffer.alloc(1024 * 1024 - 300, '0123456789');
  equal(await client.set('large', large), true);
  equal((await client.get('large')).value.equals(large), true);
  await rejects(client.set('large', Buffer.alloc(1024 * 1024)), 'SET');
  equal(await value('large'), null);
  const longest = 'k'.repeat(250);
  equal(await client.set(longest, 'v'), true);
  equal(await value(longest), 'v');
}

function statistics(key) {
  return new Promise((resolve, reject) => {
    client.statsWithKey(key, (error, server, stats) => (error ? reject(error) : resolve({ server, stats })));
  });
}

async function administration() {
  const { server, stats } = await statistics('');
  equal(server, address);
  equal(Number(stats.curr_items) > 0 && Number(stats.cmd_get) > 0 && stats.version !== '', true);
  equal((await statistics('settings')).stats.item_size_max, '1048576');
  equal(await client.flush(), { [address]: true });
  equal(await value('new'), null);
}

async function authentication() {
  if (!username) return;
  for (const [name, word] of [['bob', password], [username, 'wrong']]) {
    await rejects(connect(name, word).set('intruder', 'v'), 'authentication failed');
  }
  equal(await value('intruder'), null);
}

session([store, serialised, numbers, pipelined, expiry, sizes, administration, authentication]);

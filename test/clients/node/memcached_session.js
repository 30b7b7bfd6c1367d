'use strict';
// A session of memcached (the npm package of this name) with a server that nobody
// else uses: text protocol.
//
// usage: node memcached_session.js HOST PORT
//
// Exits with 0 if every answer was right, otherwise with what was not.

const { promisify } = require('node:util');
const Memcached = require('memcached');
const { equal, rejects, session } = require('./expect');

const TIMEOUT = 600000; // milliseconds, for one answer and for an idle connection
const [host, port] = process.argv.slice(2);
const address = `${host}:${port}`;

// connect returns a client whose commands give promises.
function connect() {
  const c = new Memcached(address, { timeout: TIMEOUT, idle: TIMEOUT, retries: 0, poolSize: 4 });
  return new Proxy(c, {
    get: (target, name) => (typeof target[name] === 'function' ? promisify(target[name].bind(target)) : target[name]),
  });
}

const client = connect();

async function store() {
  equal(await client.get('none'), undefined);
  equal(await client.set('k', 'v', 0), true);
  equal(await client.get('k'), 'v');
  await rejects(client.add('k', 'v', 0), 'not stored');
  equal(await client.add('new', 'v', 0), true);
  await rejects(client.replace('none', 'v', 0), 'not stored');
  equal(await client.replace('k', 'b', 0), true);
  equal(await client.append('k', 'c'), true);
  equal(await client.prepend('k', 'a'), true);
  await rejects(client.append('none', 'c'), 'not stored');
  equal(await client.get('k'), 'abc');
  equal(await client.del('k'), true);
  equal(await client.del('k'), false);
  equal(await client.set('empty', '', 0), true);
  equal(await client.get('empty'), '');
}

// The kind of value is in the flags.
async function serialised() {
  for (const value of [17, -2.5, 't\u00e4xt', Buffer.from([0, 127, 128, 255, 10]), { list: [1, null], text: 'x' }, [true, false]]) {
    equal(await client.set('object', value, 0), true);
    equal(await client.get('object'), value);
  }
}

async function cas() {
  equal(await client.set('guarded', '1', 0), true);
  const { cas: token, guarded } = await client.gets('guarded');
  equal(guarded, '1');
  equal(await client.cas('guarded', '2', token, 0), true);
  equal(await client.cas('guarded', '3', token, 0), false);
  equal(await client.get('guarded'), '2');
}

async function numbers() {
  equal(await client.set('n', 10, 0), true);
  equal(await client.incr('n', 5), 15);
  equal(await client.decr('n', 1), 14);
  equal(await client.decr('n', 100), 0);
  equal(await client.incr('none', 1), false);
  equal(await client.set('word', 'word', 0), true);
  await rejects(client.incr('word', 1), 'non-numeric');
}

async function many() {
  const keys = Array.from({ length: 1000 }, (_, i) => `many-${i}`);
  const stored = await Promise.all(keys.map((key) => client.set(key, `value of ${key}`, 0)));
  equal(stored.every(Boolean), true);
  const values = Object.fromEntries(keys.map((key) => [key, `value of ${key}`]));
  equal(await client.getMulti([...keys, 'none']), values);
  const one = await Promise.all(keys.map((key) => client.get(key)));
  equal(one, Object.values(values));
}

async function expiry() {
  equal(await client.set('gone', 'v', -1), true);
  equal(await client.get('gone'), undefined);
  equal(await client.set('stays', 'v', 1000), true);
  equal(await client.touch('stays', 2000), true);
  equal(await client.touch('none', 2000), false);
  equal(await client.get('stays'), 'v');
  equal(await client.touch('stays', -1), true);
  equal(await client.get('stays'), undefined);
}

async function sizes() {
  const large = '0123456789abcdef'.repeat(65520);
  equal(await client.set('large', large, 0), true);
  equal((await client.get('large')) === large, true);
  const longest = 'k'.repeat(250);
  equal(await client.set(longest, 'v', 0), true);
  equal(await client.get(longest), 'v');
}

async function administration() {
  const [version] = await client.version();
  equal(version.server, address);
  const [stats] = await client.stats();
  equal(stats.server, address);
  equal(stats.curr_items > 0 && stats.cmd_get > 0 && stats.version === version.version, true);
  const [settings] = await client.settings();
  equal(settings.item_size_max, 1048576);
  const [slabs] = await client.slabs();
  equal(slabs.active_slabs !== undefined, true);
  const [items] = await client.items();
  equal(Object.keys(items).length > 1, true);
  equal(await client.flush(), [true]);
  equal(await client.get('new'), undefined);
}

// This client closes the connection when the server refuses a value, so it is one
// of its own, and another one looks at what became of it.
async function tooLarge() {
  equal(await connect().set('large', 'x'.repeat(1024 * 1024), 0), false);
  equal(await client.get('large'), undefined);
}

session([store, serialised, cas, numbers, many, expiry, sizes, tooLarge, administration]);

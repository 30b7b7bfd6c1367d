<?php
// A session of PECL memcache, text protocol, with a server that nobody else uses.
//
// usage: memcache_session.php HOST PORT
//
// Exits with 0 if every answer was right.

require __DIR__ . "/expect.php";

const TIMEOUT = 600; // seconds, for one answer

function basic(Memcache $c): void
{
    equal($c->get("none"), false);
    foreach (["text", "", "\0\xff\r\nEND\r\n", str_repeat("long ", 10000)] as $value) {
        equal($c->set("k", $value), true);
        equal($c->get("k"), $value);
    }
    foreach ([17, -3, 2.5, true, [1, ["a" => null]]] as $value) {
        equal($c->set("k", $value), true);
        equal($c->get("k"), $value);
    }
    equal($c->set("k", str_repeat("squeezed ", 10000), MEMCACHE_COMPRESSED), true);
    equal($c->get("k"), str_repeat("squeezed ", 10000));
    equal($c->add("k", "v"), false);
    equal($c->add("new", "v"), true);
    equal($c->replace("none", "v"), false);
    equal($c->replace("new", "b"), true);
    equal($c->append("new", "c"), true);
    equal($c->prepend("new", "a"), true);
    equal($c->get("new"), "abc");
    equal($c->get(["k1", "new", "none"]), ["new" => "abc"]);
    equal($c->delete("new"), true);
    equal($c->delete("new"), false);
}

function numbers(Memcache $c): void
{
    equal($c->set("n", 10), true);
    equal($c->increment("n"), 11);
    equal($c->increment("n", 100), 111);
    equal($c->decrement("n", 10), 101);
    equal($c->decrement("n", 1000), 0);
    equal($c->increment("none"), false);
}

function cas(Memcache $c): void
{
    equal($c->set("cas", "1"), true);
    equal($c->get("cas", $flags, $first), "1");
    equal($c->cas("cas", "2", 0, 0, $first), true);
    equal($c->cas("cas", "3", 0, 0, $first), false);
    equal($c->get("cas"), "2");
}

function expiry(Memcache $c): void
{
    foreach ([...NEGATIVE, PAST] as $time) {
        equal($c->set("over", "v", 0, $time), true, "set for $time");
        equal($c->get("over"), false);
        equal($c->add("over", "v", 0, $time), true, "add for $time");
        equal($c->get("over"), false);
        equal($c->set("over", "v"), true);
        equal($c->replace("over", "v", 0, $time), true, "replace for $time");
        equal($c->get("over"), false);
    }
    foreach (AHEAD as $time) {
        equal($c->set("stays", "v", 0, $time), true, "set for $time");
        equal($c->get("stays"), "v");
    }
    equal($c->set("after 2038", "v", 0, 2208988800), true);
}

function administration(Memcache $c): void
{
    equal($c->getVersion() !== false, true);
    $stats = $c->getStats();
    equal((int)$stats["curr_items"] > 0, true);
    equal($c->flush(), true);
    equal($c->get("n"), false);
    equal($c->close(), true);
}

$c = new Memcache();
equal($c->connect($argv[1], (int)$argv[2], TIMEOUT), true);
basic($c);
numbers($c);
cas($c);
expiry($c);
administration($c);

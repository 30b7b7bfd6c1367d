<?php
// A session of PECL memcached, which is libmemcached for PHP, with a server that nobody else uses.
//
// usage: memcached_session.php HOST PORT text|binary
//
// Exits with 0 if every answer was right.

require __DIR__ . "/expect.php";

const TIMEOUT = 600000; // milliseconds, for one answer

function basic(Memcached $c): void
{
    equal($c->get("none"), false);
    equal($c->getResultCode(), Memcached::RES_NOTFOUND);
    foreach (["text", "", "\0\xff\r\nEND\r\n", 17, -3, 2.5, true, [1, ["a" => null]], str_repeat("long ", 10000)] as $value) {
        equal($c->set("k", $value), true);
        equal($c->get("k"), $value);
    }
    equal($c->add("k", "v"), false);
    equal($c->add("new", "v"), true);
    equal($c->replace("none", "v"), false);
    equal($c->replace("new", "b"), true);
    $c->setOption(Memcached::OPT_COMPRESSION, false);
    equal($c->append("new", "c"), true);
    equal($c->prepend("new", "a"), true);
    equal($c->get("new"), "abc");
    equal($c->delete("new"), true);
    equal($c->delete("new"), false);
}

function many(Memcached $c): void
{
    $values = [];
    for ($i = 0; $i < 500; $i++) {
        $values["many-$i"] = str_repeat("x", $i);
    }
    equal($c->setMulti($values), true);
    equal($c->getMulti(array_keys($values)), $values);
    equal($c->deleteMulti(["many-1", "many-2"]), ["many-1" => true, "many-2" => true]);
    equal($c->getMulti(["many-1", "many-3"]), ["many-3" => "xxx"]);
}

function numbers(Memcached $c): void
{
    equal($c->set("n", 10), true);
    equal($c->increment("n"), 11);
    equal($c->decrement("n", 10), 1);
    equal($c->decrement("n", 1000), 0);
}

function cas(Memcached $c): void
{
    equal($c->set("cas", "1"), true);
    $got = $c->get("cas", null, Memcached::GET_EXTENDED);
    equal($got["value"], "1");
    equal($c->cas($got["cas"], "cas", "2"), true);
    equal($c->cas($got["cas"], "cas", "3"), false);
    equal($c->get("cas"), "2");
}

function expiry(Memcached $c, bool $binary): void
{
    foreach ($binary ? [PAST] : [...NEGATIVE, PAST] as $time) {
        equal($c->set("over", "v", $time), true, "set for $time");
        equal($c->get("over"), false);
        equal($c->add("over", "v", $time), true, "add for $time");
        equal($c->get("over"), false);
        equal($c->setMulti(["over" => "v"], $time), true, "setMulti for $time");
        equal($c->get("over"), false);
    }
    foreach (AHEAD as $time) {
        equal($c->set("stays", "v", $time), true, "set for $time");
        equal($c->touch("stays", $time), true, "touch for $time");
        equal($c->get("stays"), "v");
    }
    equal($c->set("after-2038", "v", 2208988800), true);
}

function administration(Memcached $c): void
{
    equal(count($c->getVersion()), 1);
    equal($c->flush(), true);
    equal($c->get("n"), false);
    equal($c->quit(), true);
}

$c = new Memcached();
$c->setOptions([
    Memcached::OPT_BINARY_PROTOCOL => $argv[3] === "binary",
    Memcached::OPT_CONNECT_TIMEOUT => TIMEOUT,
    Memcached::OPT_POLL_TIMEOUT => TIMEOUT,
]);
equal($c->addServer($argv[1], (int)$argv[2]), true);
basic($c);
many($c);
numbers($c);
cas($c);
expiry($c, $argv[3] === "binary");
administration($c);

<?php
// What the sessions say of an answer.

error_reporting(E_ALL & ~E_DEPRECATED); // PECL memcache makes properties that PHP 8.2 warns of
set_error_handler(function (int $level, string $message, string $file, int $line): bool {
    if (!(error_reporting() & $level)) {
        return true;
    }
    throw new ErrorException($message, 0, $level, $file, $line);
});

function equal(mixed $got, mixed $want, string $what = ""): void
{
    if ($got !== $want) {
        throw new Exception(sprintf("%s: got %.200s, want %.200s", $what, var_export($got, true), var_export($want, true)));
    }
}

// Expiry times that are over at once, as clients give them, and others. Negative ones are for the text protocol: a binary request's time
// has no sign, so that -1 is a date of the year 2106.
const PAST = 60 * 60 * 24 * 30 + 1;
const NEGATIVE = [-1, -1000];
const AHEAD = [0, 1000, 60 * 60 * 24 * 30, 2147483647];

package bench

import "errors"

// refusalLine is what memcached and ringcached tell a client before they close its connection, because as many are open as their -c allows.
const refusalLine = "ERROR Too many open connections"

// errConnectionRefused is a connection that the server closed with a refusalLine, whatever was asked on it.
var errConnectionRefused = errors.New("the server refused the connection: " + refusalLine + " (raise its -c)")

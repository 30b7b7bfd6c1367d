package servertest

import "os"

// Features is what RINGCACHED_TEST_FEATURES in the environment says, in the words of
// --ring-features: the only features of the kernel that tests of the uring engine may
// use. "" means all of them, and tests of the epoll engine too.
func Features() string { return os.Getenv("RINGCACHED_TEST_FEATURES") }

// Package servertest runs the real ringcached binary for tests: built once, started on a
// free port with the flags of the test, watched, stopped, and expected to exit
// with 0.
//
//	func TestMain(m *testing.M) { os.Exit(servertest.Main(m)) }
//
//	func TestGet(t *testing.T) {
//		servertest.EachEngine(t, func(t *testing.T, engine string) {
//			server := servertest.Start(t, engine, "-m", "64")
//			conn := server.Dial(t)
//			...
//		})
//	}
//
// RINGCACHED_TEST_FLAGS in the environment adds flags to every server, to run the tests
// with another configuration: --direct-descriptors. RINGCACHED_TEST_FEATURES=5.19 runs the
// tests of the uring engine as on a kernel of that release, see Features.
// RINGCACHED_TEST_SERVER names a server that was built before, where there is no compiler.
//
// Under the race detector the server is built with it too, and a race that it
// reports fails the test by its exit code.
package servertest

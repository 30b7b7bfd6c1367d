package bench

import "testing"

func TestStraceTotal(t *testing.T) {
	const summary = `% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.002898          20       144           sendmsg
 40.00    0.001000          10       100        19 read
------ ----------- ----------- --------- --------- ----------------
100.00    0.003898          15       244        19 total
`
	if n, err := straceTotal(summary); err != nil || n != 244 {
		t.Errorf("%g, %v", n, err)
	}
	if n, err := straceTotal("100.00    0.003898          15       244 total\n"); err != nil || n != 244 {
		t.Errorf("without errors: %g, %v", n, err)
	}
	if _, err := straceTotal("strace: attach: Operation not permitted\n"); err == nil {
		t.Error("a total was found where none is")
	}
}

package batch

import (
	"ringcached/ring"
)

// testAccount is one without a limit.
func testAccount() *account {
	return &account{of: newClientMemory(0, ring.Map)}
}

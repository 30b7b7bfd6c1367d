package process

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
)

// notifyTime is how long a supervisor may take to read earlier messages: one that never reads must not keep the server from its work.
const notifyTime = 20 * time.Second

// Notifier sends messages to systemd, or to another supervisor that the environment names as systemd does with Type=notify; see sd_notify(3).
// The supervisor listens to the main process of a service: the server that serves, not one that has handed over or waits to take over.
type Notifier struct {
	Log LogFunc

	mu    sync.Mutex
	Main  bool // this process is the main one
	shown bool // a status

	asideMu sync.Mutex // never held for long
	aside   sync.WaitGroup
	ended   bool // Wait was called
}

// Send sends what this process does, if it is the main one.
func (n *Notifier) Send(state string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.Main {
		n.write(state)
	}
}

// sendAside sends without waiting for a supervisor that is slow to read. Wait waits for it before the process ends.
func (n *Notifier) sendAside(state string) {
	n.asideMu.Lock()
	defer n.asideMu.Unlock()
	if !n.ended {
		n.aside.Go(func() { n.Send(state) })
	}
}

// Wait waits for what sendAside has begun, and keeps it from beginning more.
func (n *Notifier) Wait() {
	n.asideMu.Lock()
	n.ended = true
	n.asideMu.Unlock()
	n.aside.Wait()
}

// SendReady makes this process the main one, if it is not yet, and says that it serves.
func (n *Notifier) SendReady() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.Main = true
	n.write(fmt.Sprintf("READY=1\nMAINPID=%d", os.Getpid()))
}

// SendStatus shows a line to people who look at the service, until this server hands over.
func (n *Notifier) SendStatus(line string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.Main {
		n.write("STATUS=" + line)
		n.shown = true
	}
}

// sendSuccessor says which process is the main one from now on. This one falls silent.
func (n *Notifier) sendSuccessor(pid int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.Main && n.shown {
		n.write("STATUS=")
	}
	if n.Main {
		n.write(fmt.Sprintf("MAINPID=%d", pid))
	}
	n.Main = false
}

func (n *Notifier) write(state string) {
	path := os.Getenv(notifySocket)
	if path == "" {
		return
	}
	conn, err := net.Dial("unixgram", path)
	if err == nil {
		_ = conn.SetWriteDeadline(time.Now().Add(notifyTime))
		_, err = conn.Write([]byte(state))
		conn.Close()
	}
	if err != nil {
		n.Log(1, "%s: %v", notifySocket, err)
	}
}

const (
	notifySocket = "NOTIFY_SOCKET"
	systemdExec  = "SYSTEMD_EXEC_PID" // the process that systemd has started
)

// startedBySystemd reports that this process is what a unit's ExecStart= names, or the daemon that it has become.
func startedBySystemd(daemon bool) bool {
	pid, err := strconv.Atoi(os.Getenv(systemdExec))
	return err == nil && (pid == os.Getpid() || daemon && pid == os.Getppid())
}

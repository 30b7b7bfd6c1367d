package process

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
)

// notifyTime is how long a supervisor may take to read what it was told before: one that never does must not keep the server from its work.
const notifyTime = 20 * time.Second

// Notifier tells systemd, or another that the environment names as systemd does with Type=notify; see sd_notify(3). It listens to one process
// of a service, the main one: the server that serves, and not the one that has handed over, or the one that waits to take over.
type Notifier struct {
	Log LogFunc

	mu    sync.Mutex
	Main  bool // this process is the main one
	shown bool // a status

	asideMu sync.Mutex // never held for long
	aside   sync.WaitGroup
	ended   bool // wait was called
}

// Send passes on what this process does, if it is the main one.
func (n *Notifier) Send(state string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.Main {
		n.write(state)
	}
}

// sendAside is tell for who can't wait for a supervisor that is slow to read. The process ends after wait.
func (n *Notifier) sendAside(state string) {
	n.asideMu.Lock()
	defer n.asideMu.Unlock()
	if !n.ended {
		n.aside.Go(func() { n.Send(state) })
	}
}

// Wait waits for what tellAside has begun; it begins nothing more.
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

// SendStatus is for people who look at the service: a line about it, until the next successor.
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

// A node: a command as process 1 of namespaces of its own, and connections carried in from one loopback port.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Pdeathsig belongs to the thread that forked, so the fork needs a thread that lives as long as the process.
func init() { runtime.LockOSThread() }

// run: [--listen 127.0.0.1:PORT --dial 127.0.0.1:PORT] --pid-file FILE COMMAND...
func run(args []string) error {
	flags := flag.NewFlagSet("run", flag.ExitOnError)
	listen := flags.String("listen", "", "loopback address outside; empty: there is no way in")
	dial := flags.String("dial", "127.0.0.1:6443", "address inside")
	pidFile := flags.String("pid-file", "", "receives the pid of the command, as seen outside")
	flags.Parse(args)

	var listener net.Listener
	if *listen != "" {
		address, err := netip.ParseAddrPort(*listen)
		if err != nil {
			return err
		}
		if !address.Addr().IsLoopback() {
			return fmt.Errorf("%s is not a loopback address: the cluster would be open to the network", address)
		}
		if listener, err = net.Listen("tcp", *listen); err != nil {
			return err
		}
	}
	target, err := netip.ParseAddrPort(*dial)
	if err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("no command to run")
	}

	command := exec.Command(flags.Arg(0), flags.Args()[1:]...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL, // whatever ends us ends the node too
	}
	if err := command.Start(); err != nil {
		return err
	}
	// Held open: the pid may be given to another process one day, the file stays this namespace.
	netns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", command.Process.Pid))
	if err != nil {
		return err
	}
	if err := os.WriteFile(*pidFile, fmt.Appendln(nil, command.Process.Pid), 0o644); err != nil {
		return err
	}
	if listener != nil {
		go forward(listener, netns, target)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		command.Process.Kill()
	}()
	return fmt.Errorf("the node ended: %v", command.Wait())
}

// forward copies bytes between two sockets of two namespaces. No packet crosses, hence no route is needed, and with
// the node gone there is nothing that a connection could reach instead.
func forward(listener net.Listener, netns *os.File, target netip.AddrPort) {
	for {
		client, err := listener.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, "accept:", err)
			os.Exit(1)
		}
		go func() {
			defer client.Close()
			server, err := dialInside(netns, target)
			if err != nil {
				return // the client sees a closed connection, as with a dead server
			}
			defer server.Close()
			done := make(chan struct{})
			go func() {
				halfCopy(client, server)
				close(done)
			}()
			halfCopy(server, client)
			<-done
		}()
	}
}

func halfCopy(to, from net.Conn) {
	io.Copy(to, from)
	to.(*net.TCPConn).CloseWrite()
}

// dialInside connects on a thread that has entered the namespace. The thread is never unlocked, so it dies with its
// goroutine and nobody else finds itself in the wrong namespace. net.Dial might change threads: hence system calls.
func dialInside(netns *os.File, target netip.AddrPort) (conn net.Conn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		conn, err = func() (net.Conn, error) {
			if err := unix.Setns(int(netns.Fd()), unix.CLONE_NEWNET); err != nil {
				return nil, err
			}
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return nil, err
			}
			socket := os.NewFile(uintptr(fd), "inside")
			defer socket.Close() // net.FileConn duplicates it
			if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(target.Port()), Addr: target.Addr().As4()}); err != nil {
				return nil, err
			}
			return net.FileConn(socket)
		}()
	}()
	<-done
	return conn, err
}

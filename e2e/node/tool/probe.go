// What the proof runs in pods and on nodes: a client for names, pages and refusals.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

const usage = `usage: probe COMMAND
  serve [--http ADDR] [--tls ADDR --cert FILE --key FILE] [--redirected ADDR]
  get URL                         prints the page
  lookup [--server ADDR] NAME     prints the addresses
  refused [--within TIME] ADDR... succeeds when the kernel refuses each at once; udp:ADDR for a datagram
  redirect UID TO                 sends all TCP of other users to a port of this pod (needs NET_ADMIN)
  eat MEGABYTES                   takes that much memory, then waits
  cat FILE...                     prints files`

func probe(args []string) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	commands := map[string]func([]string) error{
		"serve": serve, "get": get, "lookup": lookup, "refused": refused, "redirect": redirect, "eat": eat, "cat": cat,
	}
	command, known := commands[args[0]]
	if !known {
		return errors.New(usage)
	}
	return command(args[1:])
}

func get(args []string) error {
	client := http.Client{Timeout: 5 * time.Second}
	response, err := client.Get(strings.Join(args, ""))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(os.Stdout, response.Body)
	return err
}

func lookup(args []string) error {
	flags := flag.NewFlagSet("lookup", flag.ExitOnError)
	server := flags.String("server", "", "ask this server, not that of resolv.conf")
	flags.Parse(args)
	resolver := net.Resolver{PreferGo: true}
	if *server != "" {
		resolver.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, *server)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	addresses, err := resolver.LookupHost(ctx, flags.Arg(0))
	fmt.Println(strings.Join(addresses, " "))
	return err
}

// refused wants an error, and soon: a packet that merely stays unanswered may have left.
func refused(args []string) error {
	flags := flag.NewFlagSet("refused", flag.ExitOnError)
	within := flags.Duration("within", 500*time.Millisecond, "what counts as at once")
	flags.Parse(args)
	for _, address := range flags.Args() {
		start := time.Now()
		err := attempt(address, 2**within)
		took := time.Since(start).Round(time.Millisecond)
		if err == nil {
			return fmt.Errorf("%s can be reached", address)
		}
		if took > *within {
			return fmt.Errorf("%s: %v took: %w", address, took, err)
		}
		fmt.Println(err)
	}
	return nil
}

func attempt(address string, patience time.Duration) error {
	address, datagram := strings.CutPrefix(address, "udp:")
	network := "tcp"
	if datagram {
		network = "udp"
	}
	conn, err := net.DialTimeout(network, address, patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	if !datagram {
		return nil
	}
	// A datagram's refusal is the error of a later call.
	conn.SetDeadline(time.Now().Add(patience))
	if _, err = conn.Write([]byte("?")); err == nil {
		_, err = conn.Read(make([]byte, 1))
	}
	return err
}

func eat(args []string) error {
	var megabytes int
	if _, err := fmt.Sscan(strings.Join(args, " "), &megabytes); err != nil {
		return err
	}
	memory := make([]byte, megabytes<<20)
	for i := 0; i < len(memory); i += 4096 {
		memory[i] = 1 // a page counts once it is written
	}
	fmt.Println("ate", megabytes, "MB")
	select {}
}

func cat(args []string) error {
	for _, name := range args {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		os.Stdout.Write(data)
	}
	return nil
}

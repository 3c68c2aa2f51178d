// interop runs, inside a pod, what others wrote to test protocols, and servers to run it against.
//
//	interop h2spec HOST PORT         the cases of h2spec, strict ones included (h2spec.go)
//	interop h2c PORT                 HTTP/2 with prior knowledge (h2spec.go)
//	interop grpc HOST PORT           the cases of grpc-go's interop client (grpc.go); its server is /bin/grpc-server
//	interop websocket HOST PORT S    WebSocket frames over S seconds (websocket_client.go)
//	interop websocket-echo PORT      what they are sent to (websocket_server.go)
//	interop get HOST PORT            succeeds when a server of HTTP answers, with whatever but a server's error
//	interop ready PORT               succeeds when something listens on this port of the pod
//	interop idle                     waits to be called by `kubectl exec`
//
// A command that tests prints one JSON object, a Report, to standard output, and succeeds when it could ask every question.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// Case is one question and its answer.
type Case struct {
	Name    string `json:"name"`
	Outcome string `json:"outcome"`
	// Why it failed, else empty.
	Detail string `json:"detail"`
}

// Outcomes of a case.
const (
	passed  = "passed"
	failed  = "failed"
	skipped = "skipped"
)

// Report is what a command that tests prints.
type Report struct {
	Cases []Case `json:"cases"`
}

func (r *Report) add(name string, err error) {
	c := Case{Name: name, Outcome: passed}
	if err != nil {
		c.Outcome, c.Detail = failed, err.Error()
	}
	r.Cases = append(r.Cases, c)
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "interop: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	command := ""
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	wanted := map[string]int{"h2spec": 2, "h2c": 1, "grpc": 2, "websocket": 3, "websocket-echo": 1, "get": 2,
		"ready": 1, "idle": 0}
	count, known := wanted[command]
	if !known || len(args) != count {
		return fmt.Errorf("no command %q with %d arguments", command, len(args))
	}
	switch command {
	case "h2spec":
		return report(h2spec(args[0], args[1]))
	case "h2c":
		return serveH2C(args[0])
	case "grpc":
		return report(grpcCases(args[0], args[1]))
	case "websocket":
		seconds, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		return report(websocket(net.JoinHostPort(args[0], args[1]), time.Duration(seconds)*time.Second))
	case "websocket-echo":
		return serveWebsocket(args[0])
	case "get":
		return get(net.JoinHostPort(args[0], args[1]))
	case "ready":
		conn, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", args[0]), time.Second)
		if err != nil {
			return err
		}
		return conn.Close()
	default:
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
		defer stop()
		<-ctx.Done()
		return nil
	}
}

func get(address string) error {
	client := http.Client{Timeout: 5 * time.Second}
	response, err := client.Get("http://" + address + "/")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusInternalServerError {
		return errors.New(response.Status)
	}
	return nil
}

func report(report Report, err error) error {
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(report)
}

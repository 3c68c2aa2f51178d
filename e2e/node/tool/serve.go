// What the proof talks to: pages, a webhook, an aggregated API and the receiving end of redirected connections.
package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

type object = map[string]any

func serve(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	plain := flags.String("http", ":8080", "address of the pages; empty: none")
	secure := flags.String("tls", "", "address of the webhook and the aggregated API; empty: none")
	cert := flags.String("cert", "", "certificate file")
	key := flags.String("key", "", "key file")
	redirected := flags.String("redirected", "", "address for redirected connections; empty: none")
	flags.Parse(args)

	failed := make(chan error)
	if *plain != "" {
		go func() { failed <- http.ListenAndServe(*plain, http.HandlerFunc(page)) }()
	}
	if *secure != "" {
		mux := http.NewServeMux()
		mux.HandleFunc("/", page)
		mux.HandleFunc("POST /mutate", mutate)
		mux.HandleFunc("GET /apis/proof.weft.dev/v1", discovery)
		mux.HandleFunc("GET /apis/proof.weft.dev/v1/namespaces/{namespace}/callers", callers)
		server := http.Server{Addr: *secure, Handler: mux, TLSConfig: &tls.Config{ClientAuth: tls.RequestClientCert}}
		go func() { failed <- server.ListenAndServeTLS(*cert, *key) }()
	}
	if *redirected != "" {
		go func() { failed <- serveRedirected(*redirected) }()
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	select {
	case err := <-failed:
		return err
	case <-stop:
		return nil
	}
}

// page says who answers and whom it sees.
func page(w http.ResponseWriter, r *http.Request) {
	pod, _ := os.Hostname()
	from, _, _ := net.SplitHostPort(r.RemoteAddr)
	fmt.Println(r.Method, r.Host, r.URL.Path, "from", from)
	fmt.Fprintf(w, "pod=%s from=%s uid=%d\n", pod, from, os.Getuid())
}

// mutate labels whatever is admitted.
func mutate(w http.ResponseWriter, r *http.Request) {
	var review struct {
		Request struct {
			UID string `json:"uid"`
		} `json:"request"`
	}
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	reply(w, object{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": object{
		"uid": review.Request.UID, "allowed": true, "patchType": "JSONPatch",
		"patch": []byte(`[{"op": "add", "path": "/metadata/labels", "value": {"mutated": "yes"}}]`),
	}})
}

func discovery(w http.ResponseWriter, _ *http.Request) {
	reply(w, object{"apiVersion": "v1", "kind": "APIResourceList", "groupVersion": "proof.weft.dev/v1",
		"resources": []object{{"name": "callers", "singularName": "caller", "namespaced": true,
			"kind": "Caller", "verbs": []string{"list"}}}})
}

// callers has one object: the user that the API server vouches for, and the certificate that it vouches with.
func callers(w http.ResponseWriter, r *http.Request) {
	certificate := "none"
	if shown := r.TLS.PeerCertificates; len(shown) > 0 {
		certificate = shown[0].Subject.CommonName
	}
	reply(w, object{"apiVersion": "proof.weft.dev/v1", "kind": "CallerList", "metadata": object{},
		"items": []object{{"apiVersion": "proof.weft.dev/v1", "kind": "Caller",
			"metadata": object{"name": "you", "namespace": r.PathValue("namespace")},
			"user":     r.Header.Get("X-Remote-User"), "certificate": certificate}}})
}

func reply(w http.ResponseWriter, body object) {
	w.Header().Set("Content-Type", "application/json")
	w.Write(encode(body))
}

// serveRedirected answers with where the connection was going before a rule turned it.
func serveRedirected(address string) error {
	listener, err := net.Listen("tcp4", address)
	if err != nil {
		return err
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			http.ReadRequest(bufio.NewReader(conn))
			body := "was going to " + originalDestination(conn.(*net.TCPConn)) + "\n"
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
		}()
	}
}

func originalDestination(conn *net.TCPConn) (destination string) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err.Error()
	}
	raw.Control(func(fd uintptr) {
		// The option fills a sockaddr_in of 16 bytes; this accessor reads that many.
		m, err := unix.GetsockoptIPv6Mreq(int(fd), unix.IPPROTO_IP, unix.SO_ORIGINAL_DST)
		if err != nil {
			destination = err.Error()
			return
		}
		a := m.Multiaddr
		destination = fmt.Sprintf("%d.%d.%d.%d:%d", a[4], a[5], a[6], a[7], int(a[2])<<8|int(a[3]))
	})
	return destination
}

// redirect turns the pod's outgoing TCP to one of its own ports, but not that of one user, as a mesh does.
func redirect(args []string) error {
	if len(args) != 2 {
		return errors.New(usage)
	}
	user, err := strconv.ParseUint(args[0], 10, 32)
	if err != nil {
		return err
	}
	to, err := strconv.ParseUint(args[1], 10, 16)
	if err != nil {
		return err
	}
	rules, err := nftables.New()
	if err != nil {
		return err
	}
	table := rules.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "proof"})
	chain := rules.AddChain(&nftables.Chain{
		Name: "outbound", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityNATDest,
	})
	rules.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeySKUID, Register: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(uint32(user))},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
		&expr.Immediate{Register: 1, Data: binaryutil.BigEndian.PutUint16(uint16(to))},
		&expr.Redir{RegisterProtoMin: 1},
	}})
	return rules.Flush()
}

package main

import (
	"errors"
	"io"
	"net/http"
	"os"

	"github.com/gobwas/ws"
)

// serveWebsocket sends every data frame back as it came, fragments as fragments, and answers pings.
func serveWebsocket(port string) error {
	return http.ListenAndServe(":"+port, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, buffered, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return // it has answered
		}
		defer conn.Close()
		if err := echo(buffered.Reader, conn); err != nil && !errors.Is(err, io.EOF) {
			io.WriteString(os.Stderr, "a connection broke: "+err.Error()+"\n")
		}
	}))
}

func echo(from io.Reader, to io.Writer) error {
	for {
		frame, err := ws.ReadFrame(from)
		if err != nil {
			return err
		}
		frame = ws.UnmaskFrameInPlace(frame)
		switch frame.Header.OpCode {
		case ws.OpPing:
			frame = ws.NewPongFrame(frame.Payload)
		case ws.OpPong:
			continue
		}
		if err := ws.WriteFrame(to, frame); err != nil || frame.Header.OpCode == ws.OpClose {
			return err
		}
	}
}

// WebSocket: frames of all kinds over one connection, each awaited as the server must send it back.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"github.com/gobwas/ws"
)

const (
	websocketPause = 2 * time.Second
	// Longer than any time-out that somebody might think sensible for an idle request.
	websocketSilence    = 25 * time.Second
	websocketFrameLimit = 20 * time.Second
	fragments           = 16
)

// exchange is what is sent, frame by frame, and what has to come back.
type exchange struct {
	name   string
	frames []ws.Frame
	want   []ws.Frame
}

func websocket(address string, duration time.Duration) (Report, error) {
	ctx, cancel := context.WithTimeout(context.Background(), websocketFrameLimit)
	defer cancel()
	conn, early, _, err := ws.Dial(ctx, "ws://"+address+"/")
	if err != nil {
		return Report{}, fmt.Errorf("the handshake: %w", err)
	}
	defer conn.Close()
	reader := io.Reader(conn)
	if early != nil {
		reader = io.MultiReader(early, conn)
	}

	begun := time.Now()
	failures := map[string]error{}
	var names []string
	note := func(name string, err error) {
		if _, known := failures[name]; !known {
			names = append(names, name)
			failures[name] = nil
		}
		if err != nil && failures[name] == nil {
			failures[name] = fmt.Errorf("after %v: %w", time.Since(begun).Round(time.Millisecond), err)
		}
	}
	round := func(suffix string) {
		for _, e := range exchanges() {
			note(e.name+suffix, e.run(conn, reader))
		}
	}
	for time.Since(begun) < (duration-websocketSilence)/2 {
		round("")
		time.Sleep(websocketPause)
	}
	time.Sleep(websocketSilence)
	round(", after a silence")
	for time.Since(begun) < duration {
		round("")
		time.Sleep(websocketPause)
	}
	goodbye := ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, "done"))
	note("close", exchange{frames: []ws.Frame{goodbye}, want: []ws.Frame{goodbye}}.run(conn, reader))
	note("end of the connection", ends(conn, reader))

	var report Report
	for _, name := range names {
		report.add(name, failures[name])
	}
	return report, nil
}

func exchanges() []exchange {
	text := ws.NewTextFrame([]byte("a few words"))
	large := ws.NewBinaryFrame(noise(1 << 20))
	ping, pong := ws.NewPingFrame([]byte("ping")), ws.NewPongFrame([]byte("ping"))
	fragmented := exchange{name: "fragments with pings between them"}
	for i := range fragments {
		opcode := ws.OpContinuation
		if i == 0 {
			opcode = ws.OpBinary
		}
		fragment := ws.NewFrame(opcode, i == fragments-1, noise(4096))
		fragmented.frames = append(fragmented.frames, fragment)
		fragmented.want = append(fragmented.want, fragment)
		if i < fragments-1 {
			fragmented.frames = append(fragmented.frames, ping)
			fragmented.want = append(fragmented.want, pong)
		}
	}
	return []exchange{
		{"text", []ws.Frame{text}, []ws.Frame{text}},
		{"ping", []ws.Frame{ping}, []ws.Frame{pong}},
		fragmented,
		{"1 MiB in one frame", []ws.Frame{large}, []ws.Frame{large}},
	}
}

// noise is what nobody can have made up or compressed on the way.
func noise(size int) []byte {
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	return data
}

func (e exchange) run(conn net.Conn, reader io.Reader) error {
	if err := conn.SetDeadline(time.Now().Add(websocketFrameLimit)); err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() {
		for _, frame := range e.frames {
			// A copy, for masking is done in place.
			frame.Payload = bytes.Clone(frame.Payload)
			if err := ws.WriteFrame(conn, ws.MaskFrameInPlace(frame)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for i, want := range e.want {
		got, err := ws.ReadFrame(reader)
		if err != nil {
			return fmt.Errorf("frame %d of %d: %w", i+1, len(e.want), err)
		}
		if got.Header.OpCode != want.Header.OpCode || got.Header.Fin != want.Header.Fin || !bytes.Equal(got.Payload, want.Payload) {
			return fmt.Errorf("frame %d of %d: got opcode %v, fin %v, %d bytes, not opcode %v, fin %v, %d bytes",
				i+1, len(e.want), got.Header.OpCode, got.Header.Fin, len(got.Payload),
				want.Header.OpCode, want.Header.Fin, len(want.Payload))
		}
	}
	return <-sent
}

func ends(conn net.Conn, reader io.Reader) error {
	if err := conn.SetDeadline(time.Now().Add(websocketFrameLimit)); err != nil {
		return err
	}
	rest, err := io.ReadAll(reader)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes after the end", len(rest))
	}
	return err
}

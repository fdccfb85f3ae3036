// Nxdns is the resolver of a network that has no way out: it answers every question with "no such name" at once, so
// that a wrong host name or an image that cannot be pulled costs milliseconds and not the time-outs of a resolver.
// It must not look anything up.
package main

import (
	"fmt"
	"net"
	"os"
)

const header = 12

func main() {
	if len(os.Args) != 2 {
		fail(fmt.Errorf("usage: nxdns ADDRESS:PORT"))
	}
	socket, err := net.ListenPacket("udp4", os.Args[1])
	if err != nil {
		fail(err)
	}
	datagram := make([]byte, 4096)
	for {
		size, from, err := socket.ReadFrom(datagram)
		if err != nil {
			fail(err)
		}
		if reply := answer(datagram[:size]); reply != nil {
			_, _ = socket.WriteTo(reply, from)
		}
	}
}

// answer keeps the header and the first question of a query; nil for what is no query.
func answer(query []byte) []byte {
	if len(query) < header || query[2]&0x80 != 0 {
		return nil
	}
	end := header
	for end < len(query) && query[end] != 0 {
		end += 1 + int(query[end])
	}
	end += 1 + 4 // the root label, type and class
	if end > len(query) {
		return nil
	}
	reply := append([]byte(nil), query[:end]...)
	reply[2] = 0x80 | query[2]&0x79 // a response; operation and "recursion desired" as asked
	reply[3] = 0x80 | 3             // recursion available; NXDOMAIN
	copy(reply[4:header], []byte{0, 1, 0, 0, 0, 0, 0, 0})
	return reply
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "nxdns:", err)
	os.Exit(1)
}

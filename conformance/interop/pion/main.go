// Pion as an agent.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"sync"

	"github.com/pion/webrtc/v3"
)

// command is one line of input.
type command struct {
	Do          string  `json:"do"`
	Label       string  `json:"label"`
	SDP         string  `json:"sdp"`
	Text        string  `json:"text"`
	Protocol    string  `json:"protocol"`
	Ordered     *bool   `json:"ordered"`
	Retransmits *uint16 `json:"retransmits"`
	Size        int     `json:"size"`
	Number      int     `json:"number"`
}

type fields map[string]interface{}

var output sync.Mutex

func report(event string, more fields) {
	line := fields{"is": event}
	for name, value := range more {
		line[name] = value
	}
	text, _ := json.Marshal(line)
	output.Lock()
	defer output.Unlock()
	fmt.Println(string(text))
}

func pattern(size, number int) []byte {
	data := make([]byte, size)
	for at := range data {
		data[at] = byte(at + at>>8 + number)
	}
	return data
}

type agent struct {
	peer     *webrtc.PeerConnection
	lock     sync.Mutex
	channels map[string]*webrtc.DataChannel
}

func newAgent() (*agent, error) {
	peer, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, err
	}
	a := &agent{peer: peer, channels: map[string]*webrtc.DataChannel{}}
	peer.OnDataChannel(a.adopt)
	peer.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		report("state", fields{"state": state.String()})
	})
	return a, nil
}

func (a *agent) adopt(channel *webrtc.DataChannel) {
	label := channel.Label()
	a.lock.Lock()
	a.channels[label] = channel
	a.lock.Unlock()
	channel.OnOpen(func() {
		report("open", fields{
			"label":       label,
			"protocol":    channel.Protocol(),
			"ordered":     channel.Ordered(),
			"retransmits": channel.MaxRetransmits(),
		})
	})
	channel.OnClose(func() { report("channel-closed", fields{"label": label}) })
	channel.OnMessage(func(message webrtc.DataChannelMessage) {
		if message.IsString {
			report("text", fields{"label": label, "text": string(message.Data)})
			return
		}
		crc := crc32.ChecksumIEEE(message.Data)
		report("binary", fields{"label": label, "size": len(message.Data), "crc": crc})
	})
}

func (a *agent) describe(description webrtc.SessionDescription) error {
	gathered := webrtc.GatheringCompletePromise(a.peer)
	if err := a.peer.SetLocalDescription(description); err != nil {
		return err
	}
	<-gathered
	complete := a.peer.LocalDescription()
	report(complete.Type.String(), fields{"sdp": complete.SDP})
	return nil
}

func (a *agent) setRemote(kind webrtc.SDPType, sdp string) error {
	return a.peer.SetRemoteDescription(webrtc.SessionDescription{Type: kind, SDP: sdp})
}

func (a *agent) open(c command) error {
	channel, err := a.peer.CreateDataChannel(c.Label, &webrtc.DataChannelInit{
		Ordered:        c.Ordered,
		MaxRetransmits: c.Retransmits,
		Protocol:       &c.Protocol,
	})
	if err == nil {
		a.adopt(channel)
	}
	return err
}

func (a *agent) offer(c command) error {
	if err := a.open(c); err != nil {
		return err
	}
	offer, err := a.peer.CreateOffer(nil)
	if err != nil {
		return err
	}
	return a.describe(offer)
}

func (a *agent) answer(c command) error {
	if err := a.setRemote(webrtc.SDPTypeOffer, c.SDP); err != nil {
		return err
	}
	answer, err := a.peer.CreateAnswer(nil)
	if err != nil {
		return err
	}
	return a.describe(answer)
}

func (a *agent) obey(c command) error {
	a.lock.Lock()
	channel := a.channels[c.Label]
	a.lock.Unlock()
	switch c.Do {
	case "offer":
		return a.offer(c)
	case "answer":
		return a.answer(c)
	case "accept":
		return a.setRemote(webrtc.SDPTypeAnswer, c.SDP)
	case "open":
		return a.open(c)
	case "text":
		return channel.SendText(c.Text)
	case "binary":
		return channel.Send(pattern(c.Size, c.Number))
	case "close-channel":
		return channel.Close()
	case "close":
		return a.peer.Close()
	}
	return fmt.Errorf("unknown command")
}

func main() {
	a, err := newAgent()
	if err != nil {
		report("error", fields{"text": err.Error()})
		return
	}
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 1<<20)
	for input.Scan() {
		var c command
		if err := json.Unmarshal(input.Bytes(), &c); err != nil {
			report("error", fields{"text": err.Error()})
			continue
		}
		if err := a.obey(c); err != nil {
			report("error", fields{"text": c.Do + ": " + err.Error()})
		}
	}
}

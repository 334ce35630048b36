package discovery

import (
	"crypto/tls"
	"net/http"
	"testing"

	"golang.org/x/net/http2"
)

// A connection costs what its requests cost that are under way together: a client that reads none of the answers keeps them.
func TestAConnectionCarriesFewRequestsAtOnce(t *testing.T) {
	s := serve(t, http.NotFoundHandler())
	transport := s.client.Transport.(*http.Transport)
	config := transport.TLSClientConfig.Clone()
	config.NextProtos = []string{"h2"}
	connection, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", s.url[len("https://"):])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	if _, err := connection.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(connection, connection)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	frame, err := framer.ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	settings, ok := frame.(*http2.SettingsFrame)
	if !ok {
		t.Fatalf("the server begins with %v", frame)
	}
	for id, most := range map[http2.SettingID]uint32{http2.SettingMaxConcurrentStreams: 4, http2.SettingInitialWindowSize: 1 << 10} {
		if got, told := settings.Value(id); !told || got > most {
			t.Errorf("%s is %d, want %d at most", id, got, most)
		}
	}
}

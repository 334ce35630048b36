package privilege

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Request is what an audit log says of a request for an object.
type Request struct {
	Verb, Group, Resource, Namespace, Name string
	// At is when the API server received it.
	At time.Time
	// Code is the status of the answer (RFC 9110), and Message what it said if it was no success.
	Code    int
	Message string
}

func (r Request) String() string {
	asked := Right{Verb: r.Verb, Group: r.Group, Resource: r.Resource, Namespace: r.Namespace, Name: r.Name}
	return fmt.Sprintf("%s: %d %s", asked, r.Code, r.Message)
}

// Denied says that the API server refused the request for want of a right.
func (r Request) Denied() bool {
	// A namespace that is being deleted takes nothing new from anybody; that is no matter of rights.
	return r.Code == http.StatusForbidden && !strings.Contains(r.Message, "because it is being terminated")
}

// verbs are the rights that a request needed: a patch that made its object needed the right to create one, too.
func (r Request) verbs() []string {
	if r.Verb == "patch" && r.Code == http.StatusCreated {
		return []string{"patch", "create"}
	}
	return []string{r.Verb}
}

// event is what of a line of an audit log is of interest here (audit.k8s.io/v1).
type event struct {
	Verb string `json:"verb"`
	User struct {
		Username string `json:"username"`
	} `json:"user"`
	ObjectRef *struct {
		APIGroup    string `json:"apiGroup"`
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	RequestReceivedTimestamp time.Time `json:"requestReceivedTimestamp"`
	ResponseStatus           struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"responseStatus"`
}

// longest is the size of the longest line of an audit log, in bytes.
const longest = 16 << 20

// Requests reads from an audit log which objects a user has asked for. A last line that is not complete yet is left out.
func Requests(log io.Reader, user string) ([]Request, error) {
	var requests []Request
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, longest)
	for lines.Scan() {
		var e event
		err := json.Unmarshal(lines.Bytes(), &e)
		var unfinished *json.SyntaxError
		if errors.As(err, &unfinished) && !lines.Scan() {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read audit log: %w", err)
		}
		if e.User.Username != user || e.ObjectRef == nil || e.ResponseStatus.Code == 0 {
			continue
		}
		request := Request{
			Verb: e.Verb, Group: e.ObjectRef.APIGroup, Resource: e.ObjectRef.Resource, Namespace: e.ObjectRef.Namespace,
			Name: e.ObjectRef.Name, At: e.RequestReceivedTimestamp, Code: e.ResponseStatus.Code, Message: e.ResponseStatus.Message,
		}
		if e.ObjectRef.Subresource != "" {
			request.Resource += "/" + e.ObjectRef.Subresource
		}
		requests = append(requests, request)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read audit log: %w", err)
	}
	return requests, nil
}

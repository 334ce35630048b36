package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"
	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// The bounds of what is read and decoded. Whoever reaches the port can send a review, and a few bytes of JSON become a hundred times as
// many when they are decoded: without bounds one request takes more memory than the Pod has, and ends controllers and HTTPS too.
const (
	// maxReviewBytes is for two objects, of which an API server takes at most 3 MiB each.
	maxReviewBytes = 7 << 20
	// maxReviewValues is how many values, of any kind and depth, a review may have. The largest Pods have some thousands.
	maxReviewValues = 1 << 16
	// valueBytes is what a value becomes at most, about: an empty container of a Pod.
	valueBytes = 1 << 10
	// maxHeldBytes is what the bodies of all reviews may have together, and maxDecodedBytes what they may become.
	maxHeldBytes    = 64 << 20
	maxDecodedBytes = 128 << 20
	// arrival is for how long a review may be on its way, and wait for others. No API server waits longer.
	arrival = 5 * time.Second
)

// reviews bounds what all webhooks together read and decode.
type reviews struct{ held, decoded *semaphore.Weighted }

func newReviews() *reviews {
	return &reviews{held: semaphore.NewWeighted(maxHeldBytes), decoded: semaphore.NewWeighted(maxDecodedBytes)}
}

// bounded gives a webhook the reviews that are within bounds. Others are not judged, and the failurePolicy of the webhook applies.
func (v *reviews) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), arrival)
		defer cancel()
		arriving := &received{ReadCloser: r.Body, held: v.held}
		r.Body = arriving
		defer arriving.release()
		body, err := receive(ctx, w, r)
		if err != nil {
			decline(w, body, err)
			return
		}
		weight := int64(4*len(body) + valueBytes*countValues(body))
		if v.decoded.Acquire(ctx, weight) != nil {
			decline(w, body, errCrowded)
			return
		}
		defer v.decoded.Release(weight)
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// What is wrong with a review that is not judged.
var (
	errCrowded = errors.New("there are too many reviews at once")
	errLate    = errors.New("the review did not arrive in time")
	errLarge   = fmt.Errorf("a review has at most %d bytes and %d values", maxReviewBytes, maxReviewValues)
	errFormat  = errors.New("a review is JSON") // The decoder would take YAML and Protocol Buffers too, whose values are not counted.
)

// decline refuses what a review asks for, if it says what that is; otherwise the answer is to nothing, and an API server goes by the
// failurePolicy.
func decline(w http.ResponseWriter, body []byte, err error) {
	if errors.Is(err, errCrowded) { // Of which an API server tries again by itself.
		w.Header().Set("Retry-After", "1")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	code := map[error]int32{errLate: http.StatusRequestTimeout, errLarge: http.StatusRequestEntityTooLarge, errFormat: http.StatusBadRequest}[err]
	response := admission.Errored(code, err)
	var asked struct {
		Request struct {
			UID types.UID `json:"uid"`
		} `json:"request"`
	}
	if json.Unmarshal(body, &asked) == nil {
		response.UID = asked.Request.UID
	}
	review := admissionv1.AdmissionReview{Response: &response.AdmissionResponse}
	review.SetGroupVersionKind(admissionv1.SchemeGroupVersion.WithKind("AdmissionReview"))
	encoded, err := json.Marshal(review)
	if err != nil {
		http.Error(w, "the answer cannot be encoded", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(encoded) // Nobody listens any more if it fails.
}

// received is a body of which each byte counts that has come: who sends slowly keeps others out by no more than he has sent.
type received struct {
	io.ReadCloser
	held  *semaphore.Weighted
	bytes int64
}

func (b *received) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if !b.held.TryAcquire(int64(n)) {
		return 0, errCrowded
	}
	b.bytes += int64(n)
	return n, err //nolint:wrapcheck // A Reader's io.EOF is no error.
}

func (b *received) release() { b.held.Release(b.bytes) }

// receive reads a review until ctx ends. With an error, the review is what can be read of it.
func receive(ctx context.Context, w http.ResponseWriter, r *http.Request) ([]byte, error) {
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) // It has passed, which ends the Read.
	})
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReviewBytes))
	if !stop() {
		<-ended // w is not to be used once the request has been answered.
		return nil, errLate
	}
	tooLarge := new(http.MaxBytesError)
	switch {
	case errors.As(err, &tooLarge):
		return nil, errLarge
	case errors.Is(err, errCrowded):
		return nil, errCrowded
	case err != nil || !json.Valid(body):
		return nil, errFormat
	case countValues(body) > maxReviewValues:
		return body, errLarge
	default:
		return body, nil
	}
}

// countValues counts the values, and the names of members, of a text that is JSON.
func countValues(text []byte) int {
	values, quoted := 1, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == '{' || c == '[' || c == ',' || c == ':'):
			values++
		}
	}
	return values
}

package kube

import (
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// ProblemError is something that keeps an object from being Ready until somebody acts or something else changes. It is
// shown as a condition; repeating the work before then would not help.
type ProblemError struct {
	// Reason is a reason of the API's conditions.
	Reason string
	// Message says what is wrong, where, and what to do.
	Message string
}

func (p *ProblemError) Error() string { return p.Reason + ": " + p.Message }

// Problemf makes a ProblemError.
func Problemf(reason, format string, args ...any) *ProblemError {
	return &ProblemError{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// ReasonOf is the reason to show for an error: that of its Problem, or Retrying.
func ReasonOf(err error) string {
	if problem := new(ProblemError); errors.As(err, &problem) {
		return problem.Reason
	}
	return v1alpha1.ReasonRetrying
}

// MessageOf is the message to show for an error: that of its Problem; of any other only the class of the API server's
// answer, if it is one, because the answer itself can quote what was written.
func MessageOf(err error) string {
	if problem := new(ProblemError); errors.As(err, &problem) {
		return problem.Message
	}
	if reason := apierrors.ReasonForError(err); reason != metav1.StatusReasonUnknown {
		return fmt.Sprintf("a call to the API server failed (%s) and is repeated", reason)
	}
	return "an attempt failed and is repeated: the operator's log tells why"
}

// Note shortens a message to what an event may say.
func Note(message string) string {
	const longest = 1000
	if len(message) <= longest {
		return message
	}
	return strings.ToValidUTF8(message[:longest], "") + "…"
}

// IsNews says whether a condition's status, reason or message changed.
func IsNews(before, after []metav1.Condition, kind string) bool {
	was, is := meta.FindStatusCondition(before, kind), meta.FindStatusCondition(after, kind)
	return is != nil && (was == nil || was.Status != is.Status || was.Reason != is.Reason || was.Message != is.Message)
}

// Package webhookcert keeps the serving certificate of the admission webhook, so that no other operator is needed for it.
//
// One Secret holds a certificate authority and a serving certificate; whoever finds none creates it, and every change is an
// Update under its resourceVersion, so that any number of replicas agree without electing one of them. The authorities in the
// Secret are written as caBundle into every webhook of one ValidatingWebhookConfiguration, and into a ConfigMap for whoever else
// is served with the certificate. A new authority signs nothing until both have had time to get around, and an old one stays in
// the bundle until it expires, so that every certificate that any replica may still serve is verified by every bundle that
// anybody may still hold.
//
// Whoever deletes the Secret, or the authorities in it, withdraws trust in them: the next pass makes new ones and injects those
// alone, and for the moment until API servers and replicas have followed, calls may be refused.
//
// A pass reads the objects, decides (Decide is pure), writes, and replaces the certificate in memory. Passes are caused by the
// instant that the last decision named, by a watch of each object, and by a backoff after errors: a settled cluster costs
// no request.
package webhookcert

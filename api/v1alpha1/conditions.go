package v1alpha1

// Condition types. All follow kstatus: an object is healthy when Ready is True and observedGeneration is current.
const (
	// ConditionReady is on every kind, always present once the object was seen, True when all is well.
	// SigningKey: a key can sign, and its JWKS is where the spec wants it. ServiceToken: the Secret holds a token that
	// verifies now and says what the spec asks for.
	ConditionReady = "Ready"
	// ConditionPropagated is on SigningKey, always present once the ring exists. True: every ConfigMap copy was seen to
	// hold the keys of the ring. False: the message names the copies that do not, and rotation waits for them.
	ConditionPropagated = "Propagated"
	// ConditionRingIntact is on SigningKey, always present once the ring exists. False, for as long as a key recovered
	// without its private half is published: the ring Secret was lost, unreadable or older than what was published.
	ConditionRingIntact = "RingIntact"
)

// Reasons of conditions and events on SigningKey.
const (
	// ReasonReady says that a key signs and every copy of its JWKS holds it.
	ReasonReady = "Ready"
	// ReasonPropagated says that every ConfigMap copy holds the keys of the ring.
	ReasonPropagated = "Propagated"
	// ReasonPropagationPending says that a copy could not be written; the message names it and says why.
	ReasonPropagationPending = "PropagationPending"
	// ReasonIssuerConflict says that an older SigningKey claims the same issuer; delete this one, because an issuer cannot
	// be changed, and create one with another issuer.
	ReasonIssuerConflict = "IssuerConflict"
	// ReasonIssuerMissing says that spec.issuer is empty and the operator has no external URL to make one from; delete this
	// SigningKey, because an issuer cannot be added, and create it with spec.issuer.
	ReasonIssuerMissing = "IssuerMissing"
	// ReasonInvalidPolicy says that the spec's durations cannot work together, or a rule does not compile.
	ReasonInvalidPolicy = "InvalidPolicy"
	// ReasonSecretConflict says that a Secret of the wanted name belongs to somebody else; it is never overwritten.
	ReasonSecretConflict = "SecretConflict"
	// ReasonConfigMapConflict says that a ConfigMap of the wanted name belongs to somebody else; it is never touched.
	ReasonConfigMapConflict = "ConfigMapConflict"
	// ReasonRingLost says that the ring Secret was lost or unreadable: a fresh key signs, the published ones stay.
	ReasonRingLost = "RingLost"
	// ReasonRingIntact says that the ring Secret holds what was published.
	ReasonRingIntact = "RingIntact"
	// ReasonRetrying says, on either kind, that a call to the API server failed and is being repeated.
	ReasonRetrying = "Retrying"
	// ReasonKeyGenerated is the event of a new Pending key.
	ReasonKeyGenerated = "KeyGenerated"
	// ReasonKeyPublished is the event of a Pending key that every copy was seen to hold.
	ReasonKeyPublished = "KeyPublished"
	// ReasonKeyActivated is the event of a key that began to sign.
	ReasonKeyActivated = "KeyActivated"
	// ReasonKeyRetired is the event of a key that stopped signing; its private half is destroyed.
	ReasonKeyRetired = "KeyRetired"
	// ReasonKeyRemoved is the event of a key that left the JWKS, or the deny list.
	ReasonKeyRemoved = "KeyRemoved"
	// ReasonKeyRevoked is the event of a revoked key.
	ReasonKeyRevoked = "KeyRevoked"
)

// Reasons of conditions and events on ServiceToken; SecretConflict above is used too.
const (
	// ReasonIssued says that the Secret holds a valid token; also the event of an issue, with its cause.
	ReasonIssued = "Issued"
	// ReasonSigningKeyNotFound says that the key does not exist; apply it, or correct spec.signingKeyRef.
	ReasonSigningKeyNotFound = "SigningKeyNotFound"
	// ReasonSigningKeyNotReady says that the key exists and cannot sign yet.
	ReasonSigningKeyNotReady = "SigningKeyNotReady"
	// ReasonNotAllowed says that the key's policy refuses this token; the message says which part.
	ReasonNotAllowed = "NotAllowed"
	// ReasonInvalidSpec says that the claims or a template cannot be used; the message says why.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonExpired says that spec.expiresAt has passed: the token is withdrawn.
	ReasonExpired = "Expired"
	// ReasonWithdrawn is the event of a token taken out of its Secret.
	ReasonWithdrawn = "Withdrawn"
)

// Reasons of conditions and events on TokenClient, TokenRevocation and TokenPolicy; those above are used too.
const (
	// ReasonServing says, on TokenClient, that the client can ask for tokens.
	ReasonServing = "Serving"
	// ReasonEndpointMissing says, on TokenClient, that the operator serves no token endpoint for this issuer; run it with an
	// HTTPS server, and let the issuer be an https URL and the SigningKey not be in a namespace called verify.
	ReasonEndpointMissing = "EndpointMissing"
	// ReasonTokenStoreMissing says, on TokenClient, that RefreshToken is granted and the operator has no token store; run it
	// with --token-store, or take RefreshToken out of spec.grantTypes.
	ReasonTokenStoreMissing = "TokenStoreMissing"
	// ReasonSecretInvalid says, on TokenClient, that the Secret of the client's own making cannot be used; the message says why.
	ReasonSecretInvalid = "SecretInvalid"
	// ReasonClientSecretGenerated is the event of a client secret made, or made anew.
	ReasonClientSecretGenerated = "ClientSecretGenerated"
	// ReasonRefreshTokenReused is the event of a refresh token that was used twice: it, and all that came from it, is revoked.
	ReasonRefreshTokenReused = "RefreshTokenReused"
	// ReasonDenyListFull says, on TokenRevocation, that the ConfigMap of the deny list has no room for it; what asks the operator
	// refuses the tokens all the same.
	ReasonDenyListFull = "DenyListFull"
	// ReasonRevoked says, on TokenRevocation, that the tokens it means are taken back; also the event.
	ReasonRevoked = "Revoked"
	// ReasonKeysAtHand says, on TokenPolicy, that the keys of every issuer are at hand.
	ReasonKeysAtHand = "KeysAtHand"
	// ReasonKeysUnavailable says, on TokenPolicy, that the keys of an issuer are not at hand; the message names it and says why.
	ReasonKeysUnavailable = "KeysUnavailable"
)

// Labels, annotations and Secret types that Keyturn sets or obeys.
const (
	// LabelManagedBy marks every object Keyturn writes; its value is ManagedBy. Caches select by it.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	// ManagedBy is the value of LabelManagedBy.
	ManagedBy = "keyturn"
	// LabelSigningKey names the SigningKey a Secret or ConfigMap belongs to.
	LabelSigningKey = "keyturn.dev/signing-key"
	// LabelSigningKeyNamespace names that SigningKey's namespace, on JWKS copies.
	LabelSigningKeyNamespace = "keyturn.dev/signing-key-namespace"
	// LabelTokenClient names the TokenClient a Secret belongs to.
	LabelTokenClient = "keyturn.dev/token-client"
	// LabelToken, on any Secret, asks admission to check the token it holds. Secrets of SecretTypeToken are always checked.
	LabelToken = "keyturn.dev/token"
	// LabelVerifyPods with the value "enabled", on a Namespace, refuses pods that mount an expired or revoked token.
	LabelVerifyPods = "keyturn.dev/verify-pods"
	// LabelExpiredCredentials on a Namespace, "deny" (default) or "warn", softens the refusal of expired credentials.
	LabelExpiredCredentials = "keyturn.dev/expired-credentials"

	// AnnotationRotateRequestedAt asks for an orderly rotation when its value changes; the value is free, usually an instant.
	AnnotationRotateRequestedAt = "keyturn.dev/rotate-requested-at"
	// AnnotationPreviousSecretExpiresAt, on the Secret of a TokenClient, is when previous-client-secret stops being valid, as in
	// RFC 3339.
	AnnotationPreviousSecretExpiresAt = "keyturn.dev/previous-secret-expires-at"
	// AnnotationForceDelete with the value "true" lets a SigningKey be deleted while live tokens depend on it, and a
	// TokenRevocation while tokens that it takes back are alive.
	AnnotationForceDelete = "keyturn.dev/force-delete"
	// AnnotationRingGeneration, on a JWKS ConfigMap, is the generation of the ring it was made from.
	AnnotationRingGeneration = "keyturn.dev/ring-generation"

	// SecretTypeSigningKey is the type of ring Secrets.
	SecretTypeSigningKey = "keyturn.dev/signing-key"
	// SecretTypeToken is the type of Secrets that hold a token.
	SecretTypeToken = "keyturn.dev/token"
	// SecretTypeClientSecret is the type of Secrets that hold the secret of a TokenClient.
	SecretTypeClientSecret = "keyturn.dev/client-secret"
	// SecretKeyClientID, SecretKeyClientSecret, SecretKeyPreviousClientSecret and SecretKeyTokenEndpoint are the keys of such a
	// Secret.
	SecretKeyClientID             = "client-id"
	SecretKeyClientSecret         = "client-secret"
	SecretKeyPreviousClientSecret = "previous-client-secret"
	SecretKeyTokenEndpoint        = "token-endpoint"
	// SecretKeyToken is the key of a Secret under which the compact token stands.
	SecretKeyToken = "token"
	// ConfigMapKeyJWKS is the key of a ConfigMap under which the JWK Set stands.
	ConfigMapKeyJWKS = "jwks.json"
	// ConfigMapKeyRevocations is the key of a ConfigMap under which the deny list stands.
	ConfigMapKeyRevocations = "revocations.json"
	// ConfigMapKeyIssuer is the key of a ConfigMap under which the issuer stands.
	ConfigMapKeyIssuer = "issuer"
)

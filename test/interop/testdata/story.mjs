// What an OAuth client does in its life, for clients of any library: see oauth_test.go. The environment says where and who:
//
//   ISSUER                        its configuration document is found from it; NODE_EXTRA_CA_CERTS is the file of its CA
//   CLIENT_ID, CLIENT_SECRET      a client with a secret
//   KEY_CLIENT_ID, KEY_FILE       a client with a private key, and the file of that JWK
//   ACCOUNT_CLIENT_ID             a client that is a ServiceAccount, and may ask for tokens for the other clients
//   ACCOUNT_TOKEN_FILE            the file of that ServiceAccount's token
//   AUDIENCE, SCOPE               what to ask for
//
// Each step prints a line of JSON that tells its outcome without a token or a secret.
import { readFileSync } from 'node:fs'
import { webcrypto } from 'node:crypto'

// Node.js 18 has them, but not here.
globalThis.crypto ??= webcrypto
globalThis.CryptoKey ??= webcrypto.CryptoKey

const algorithms = {
  ES256: { name: 'ECDSA', namedCurve: 'P-256' },
  RS256: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  EdDSA: { name: 'Ed25519' }, // The assertion then says Ed25519, as RFC 9864 has it.
}

// How a client proves itself: identifier, and secret or key. The false one is nobody's.
async function proofs() {
  const { CLIENT_ID, CLIENT_SECRET, KEY_CLIENT_ID, KEY_FILE } = process.env
  const jwk = JSON.parse(readFileSync(KEY_FILE, 'utf8'))
  const algorithm = algorithms[jwk.alg]
  const key = await crypto.subtle.importKey('jwk', jwk, algorithm, false, ['sign'])
  const size = { modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) }
  const { privateKey } = await crypto.subtle.generateKey({ ...size, ...algorithm }, false, ['sign', 'verify'])
  const secret = { id: CLIENT_ID, right: CLIENT_SECRET, wrong: `${CLIENT_SECRET}x` }
  return {
    client_secret_basic: secret,
    client_secret_post: secret,
    private_key_jwt: { id: KEY_CLIENT_ID, right: { key, kid: jwk.kid }, wrong: { key: privateKey, kid: jwk.kid } },
  }
}

// What may be shown of an answer.
function shown({ access_token, refresh_token, token_type, scope, issued_token_type, active, client_id, sub } = {}) {
  const bearer = access_token && { token_type: token_type.toLowerCase(), refreshable: refresh_token !== undefined }
  return { ...bearer, scope, issued_token_type, active, client_id, sub }
}

// What may be shown of an error: that of RFC 6749 section 5.2, or what the library has to complain of.
async function refusal(thrown) {
  const response = thrown.response ?? thrown.cause
  const body = thrown.error ? thrown : response instanceof Response && !response.bodyUsed ? await response.json().catch(() => ({})) : {}
  const complaint = body.error ? undefined : [thrown.code, thrown.message, thrown.cause?.code].filter(Boolean).join(': ')
  return { error: body.error, error_description: body.error_description, status: response?.status, complaint }
}

// A step prints its outcome, and returns the answer or an empty one.
const stepOf = (method) => async (step, act) => {
  const say = (outcome) => console.log(JSON.stringify({ method, step, ...outcome }))
  try {
    const answer = await act()
    say(shown(answer))
    return answer ?? {}
  } catch (thrown) {
    say(await refusal(thrown))
    return {}
  }
}

const tokenType = (name) => `urn:ietf:params:oauth:token-type:${name}`

const subject = (token, type) => ({
  subject_token: token, subject_token_type: tokenType(type), requested_token_type: tokenType('access_token'),
})

// tell has the clients that connect makes live, one for each way to prove itself, beside a Pod with nothing but its token. A client
// has clientCredentials, exchange, refresh, introspect and revoke.
export async function tell(connect) {
  const { ISSUER, ACCOUNT_CLIENT_ID, ACCOUNT_TOKEN_FILE, AUDIENCE, SCOPE } = process.env
  const asked = { audience: AUDIENCE, scope: SCOPE }
  const pod = await connect(new URL(ISSUER), ACCOUNT_CLIENT_ID, 'none')
  const podToken = readFileSync(ACCOUNT_TOKEN_FILE, 'utf8')
  for (const [method, { id, right, wrong }] of Object.entries(await proofs())) {
    const step = stepOf(method)
    const client = await connect(new URL(ISSUER), id, method, right)
    const first = await step('ask', () => client.clientCredentials(asked))
    await step('introspect', () => client.introspect(first.access_token))
    const second = await step('refresh', () => client.refresh(first.refresh_token))
    await step('introspect the new one', () => client.introspect(second.access_token))
    await step('revoke the new access token', () => client.revoke(second.access_token, { token_type_hint: 'access_token' }))
    await step('introspect it again', () => client.introspect(second.access_token))
    await step('refresh with a used token', () => client.refresh(first.refresh_token))
    await step('refresh with its successor', () => client.refresh(second.refresh_token))

    const third = await step('ask again', () => client.clientCredentials(asked))
    await step('revoke the refresh token', () => client.revoke(third.refresh_token, { token_type_hint: 'refresh_token' }))
    await step('refresh with the revoked token', () => client.refresh(third.refresh_token))

    const sent = await step('a Pod asks', () => pod.exchange({ ...subject(podToken, 'jwt'), audience: id, scope: SCOPE }))
    const acting = await step('act for the Pod', () => client.exchange({ ...subject(sent.access_token, 'access_token'), ...asked }))
    await step('introspect that', () => client.introspect(acting.access_token))

    const impostor = await connect(new URL(ISSUER), id, method, wrong)
    await step('ask with a wrong proof', () => impostor.clientCredentials(asked))
  }
}

export const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange'

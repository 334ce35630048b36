// What an OAuth client does in its life, for clients of any library: see oauth_test.go. The environment says where and who:
//
//   ISSUER                        its configuration document is found from it; NODE_EXTRA_CA_CERTS is the file of its CA
//   CLIENT_ID, CLIENT_SECRET      a client with a secret
//   KEY_CLIENT_ID, KEY_FILE       a client with a private key, and the file of that JWK
//   AUDIENCE, SCOPE               what to ask for
//   SUBJECT_TOKEN_FILE            a JWT to exchange; without it the client exchanges an access token of its own
//
// Each step prints a line of JSON that tells its outcome without a token or a secret.
import { readFileSync } from 'node:fs'
import { webcrypto } from 'node:crypto'

// Node.js 18 has them, but not here.
globalThis.crypto ??= webcrypto
globalThis.CryptoKey ??= webcrypto.CryptoKey

const tokenType = (name) => `urn:ietf:params:oauth:token-type:${name}`

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

// tell has each of the clients that connect makes live. A client has clientCredentials, exchange, refresh, introspect and revoke.
export async function tell(connect) {
  const { ISSUER, AUDIENCE, SCOPE, SUBJECT_TOKEN_FILE } = process.env
  const asked = { audience: AUDIENCE, scope: SCOPE }
  for (const [method, { id, right, wrong }] of Object.entries(await proofs())) {
    const step = async (name, act) => {
      const say = (outcome) => console.log(JSON.stringify({ method, step: name, ...outcome }))
      try {
        const answer = await act()
        say(shown(answer))
        return answer ?? {}
      } catch (thrown) {
        say(await refusal(thrown))
        return {}
      }
    }
    const client = await connect(new URL(ISSUER), id, method, right)
    const first = await step('ask', () => client.clientCredentials(asked))
    await step('introspect', () => client.introspect(first.access_token))
    const second = await step('refresh', () => client.refresh(first.refresh_token))
    await step('introspect the new one', () => client.introspect(second.access_token))
    await step('revoke the new one', () => client.revoke(second.access_token, { token_type_hint: 'access_token' }))
    await step('introspect the revoked one', () => client.introspect(second.access_token))
    await step('refresh with a used token', () => client.refresh(first.refresh_token))
    await step('refresh with its successor', () => client.refresh(second.refresh_token))

    const third = await step('ask again', () => client.clientCredentials(asked))
    await step('revoke the refresh token', () => client.revoke(third.refresh_token, { token_type_hint: 'refresh_token' }))
    await step('refresh with the revoked token', () => client.refresh(third.refresh_token))
    const subject = SUBJECT_TOKEN_FILE
      ? { subject_token: readFileSync(SUBJECT_TOKEN_FILE, 'utf8').trim(), subject_token_type: tokenType('jwt') }
      : { subject_token: third.access_token, subject_token_type: tokenType('access_token') }
    await step('exchange', () => client.exchange({ ...subject, ...asked, requested_token_type: tokenType('access_token') }))

    const impostor = await connect(new URL(ISSUER), id, method, wrong)
    await step('ask with a wrong proof', () => impostor.clientCredentials(asked))
  }
}

export const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange'

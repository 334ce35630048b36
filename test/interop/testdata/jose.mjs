// Does with the npm package jose what standard input asks for, and answers on standard output: see Library in ../library_test.go.
import https from 'node:https'
import { json, text } from 'node:stream/consumers'
import { SignJWT, createLocalJWKSet, createRemoteJWKSet, importJWK, importPKCS8, jwtVerify } from 'jose'

const refusals = {
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: 'bad signature',
  ERR_JWKS_NO_MATCHING_KEY: 'unknown key',
  ERR_JWT_EXPIRED: 'expired',
}

async function servedKeys({ configuration, ca, issuer }) {
  const agent = new https.Agent({ ca })
  const response = await new Promise((resolve, reject) => https.get(configuration, { agent }, resolve).on('error', reject))
  const served = await json(response)
  if (served.issuer !== issuer) throw new Error(`issuer is ${served.issuer}`)
  return createRemoteJWKSet(new URL(served.jwks_uri), { agent })
}

async function verify({ token, jwks, configuration, ca, issuer, audience, algorithm, type }) {
  const keys = configuration ? await servedKeys({ configuration, ca, issuer }) : createLocalJWKSet(JSON.parse(jwks))
  const requiredClaims = ['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti']
  try {
    const { payload } = await jwtVerify(token, keys, { issuer, audience, algorithms: [algorithm], typ: type, requiredClaims })
    return { claims: payload }
  } catch (error) {
    return { refusal: refusals[error.code] ?? String(error) }
  }
}

async function sign({ pem, jwk, keyID, algorithm, claims }) {
  const key = pem ? await importPKCS8(pem, algorithm) : await importJWK(JSON.parse(jwk), algorithm)
  const token = await new SignJWT(claims).setProtectedHeader({ alg: algorithm, kid: keyID, typ: 'JWT' }).sign(key)
  return { token }
}

const tasks = JSON.parse(await text(process.stdin))
const answers = await Promise.all(tasks.map((task) => (task.token ? verify(task) : sign(task))))
process.stdout.write(JSON.stringify(answers))

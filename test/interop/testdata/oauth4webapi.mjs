// Does with the npm package oauth4webapi what an OAuth client does: see story.mjs.
import { tell, tokenExchange } from './story.mjs'
import * as oauth from 'oauth4webapi'

const proofs = {
  client_secret_basic: oauth.ClientSecretBasic,
  client_secret_post: oauth.ClientSecretPost,
  private_key_jwt: oauth.PrivateKeyJwt,
  none: oauth.None,
}

await tell(async (issuer, client_id, method, secret) => {
  const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer))
  const client = { client_id }
  const proof = proofs[method](secret)
  const grant = (type, parameters) => oauth.genericTokenEndpointRequest(server, client, proof, type, parameters)
  return {
    clientCredentials: async (parameters) =>
      oauth.processClientCredentialsResponse(server, client, await oauth.clientCredentialsGrantRequest(server, client, proof, parameters)),
    exchange: async (parameters) => oauth.processGenericTokenEndpointResponse(server, client, await grant(tokenExchange, parameters)),
    refresh: async (token) => oauth.processRefreshTokenResponse(server, client, await oauth.refreshTokenGrantRequest(server, client, proof, token)),
    introspect: async (token) => oauth.processIntrospectionResponse(server, client, await oauth.introspectionRequest(server, client, proof, token)),
    revoke: async (token, additionalParameters) =>
      oauth.processRevocationResponse(await oauth.revocationRequest(server, client, proof, token, { additionalParameters })),
  }
})

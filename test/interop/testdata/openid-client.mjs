// Does with the npm package openid-client what an OAuth client does: see story.mjs.
import { tell, tokenExchange } from './story.mjs'
import * as client from 'openid-client'

const proofs = {
  client_secret_basic: client.ClientSecretBasic,
  client_secret_post: client.ClientSecretPost,
  private_key_jwt: client.PrivateKeyJwt,
  none: client.None,
}

await tell(async (issuer, id, method, proof) => {
  const configuration = await client.discovery(issuer, id, undefined, proofs[method](proof))
  return {
    clientCredentials: (parameters) => client.clientCredentialsGrant(configuration, parameters),
    exchange: (parameters) => client.genericGrantRequest(configuration, tokenExchange, parameters),
    refresh: (token) => client.refreshTokenGrant(configuration, token),
    introspect: (token) => client.tokenIntrospection(configuration, token),
    revoke: (token, parameters) => client.tokenRevocation(configuration, token, parameters),
  }
})

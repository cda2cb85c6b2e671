"""What the provider of the tests says about its users, beside who they are."""

from typing import Any

from oauth2_provider.oauth2_validators import OAuth2Validator

from tests.provider import PEOPLE


class Claims(OAuth2Validator):
    oidc_claim_scope = None

    def get_additional_claims(self, request: Any) -> dict[str, Any]:
        user = request.user
        return {"email": user.email, "email_verified": PEOPLE[user.username]}

"""Assets: created by whom genesis lets, minted by their issuer, burnt by their holders. The supply of an asset stays
below 2^63, so the sum of its balances does, and no credit overflows."""

from dataclasses import replace
from typing import Final

from executor.context import Context
from ledger import digests
from ledger.commands import Burn, CreateAsset, Mint
from ledger.rejection import Reason
from ledger.state import Asset

_SUPPLY_END: Final = 1 << 63


def create_asset(context: Context, index: int, command: CreateAsset) -> Reason:
    """A new asset with no supply."""
    issuers = context.genesis.asset_issuers
    if issuers is not None and context.signer not in issuers:
        return Reason.NOT_AN_ISSUER
    key = digests.asset_id(context.digest, index)
    context.assets.put(key, Asset(key, command.name, command.decimals, command.issuer, 0))
    return Reason.NONE


def mint(context: Context, _index: int, command: Mint) -> Reason:
    """New units, by the issuer only."""
    asset = context.assets.get(command.asset)
    if asset is None:
        return Reason.UNKNOWN_ASSET
    if asset.issuer != context.signer:
        return Reason.NOT_AN_ISSUER
    if asset.supply + command.amount >= _SUPPLY_END:
        return Reason.SUPPLY_OVERFLOW
    context.assets.put(asset.id, replace(asset, supply=asset.supply + command.amount))
    context.balances.add(context.balances.slot_of(asset.id, command.recipient), command.amount)
    context.moves.add_mint(asset.id, command.recipient, command.amount, context.transaction)
    return Reason.NONE


def burn(context: Context, _index: int, command: Burn) -> Reason:
    """Units of the signer's own cease to exist."""
    asset = context.assets.get(command.asset)
    if asset is None:
        return Reason.UNKNOWN_ASSET
    slot = context.balances.slot_of(asset.id, context.signer)
    if context.balances.amount(slot) < command.amount:
        return Reason.INSUFFICIENT_BALANCE
    context.balances.add(slot, -command.amount)
    context.assets.put(asset.id, replace(asset, supply=asset.supply - command.amount))
    context.moves.add_burn(asset.id, context.signer, command.amount, context.transaction)
    return Reason.NONE

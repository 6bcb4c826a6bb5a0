from sqlalchemy import Column, Integer, MetaData, String, Table
from amo_bridge.crm.local_budget import LocalBudget
def budget_table(metadata, name="budgets"):
    return Table(name, metadata, Column("account", String(64), primary_key=True))
class StoreBudget(LocalBudget):
    def __init__(self, engine, account, table, *, rate=7):
        super().__init__(rate)

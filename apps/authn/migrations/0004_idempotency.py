from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('authn', '0003_grant_conditions'),
    ]

    operations = [
        migrations.AddField(
            model_name='answeredrequest',
            name='request_digest',
            field=models.BinaryField(editable=False, null=True),
        ),
    ]
